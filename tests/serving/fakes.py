"""A pool whose models are made up, and what else answers in their stead."""

import asyncio
from typing import Any

import numpy as np

from regraft.contract import TensorSpec
from regraft.errors import DeadlineError, OverloadedError, TooLargeError, UnknownNameError
from regraft.registry.endpoint_table import Route, Tried
from regraft.serving.pool import Failure
from regraft.serving.predictor import Predictor
from regraft.serving.rollout import Served
from regraft.serving.telemetry import RequestRecord, ShadowRecord, Silent


class Task:
    """Answers the length of each text."""

    suffixes = (".txt",)
    labels = ("short", "long")

    def request_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("text", "BYTES", ("batch",)),)

    def request_alternatives(self) -> tuple[tuple[TensorSpec, ...], ...]:
        return (self.request_tensors(),)

    def response_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("length", "INT64", ("batch",)),)

    def rows(self, tensors: Any) -> list[str]:
        return [item.decode() for item in tensors["text"].reshape(-1)]

    def read_inputs(self, inputs: list[str]) -> list[str]:
        return inputs

    def answers(self, tensors: Any) -> list[dict[str, int]]:
        return [{"length": int(length)} for length in tensors["length"]]


class FakeBatcher:
    """Predicts at once; a row `boom` breaks the model, a row `full` finds the queue full."""

    most = 500

    def check(self, rows: int) -> None:
        if rows > self.most:
            raise TooLargeError(f"At most {self.most} rows.")

    async def predict(self, predictor: Any, rows: list[str], **given: Any) -> dict[str, Any]:
        if "boom" in rows or ("odd" in rows and predictor.version == 5):
            raise RuntimeError("/secret/path broke")
        if "full" in rows:
            raise OverloadedError("The queue is full.", retry_after=3)
        if "late" in rows and given["deadline"] is not None:
            raise DeadlineError("The request's time was over.")
        await asyncio.sleep(0)
        return {"length": np.array([len(row) for row in rows])}


class StuckBatcher:
    """Never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def check(self, rows: int) -> None:
        pass

    async def predict(self, predictor: Any, rows: list[str], **given: Any) -> dict[str, Any]:
        self.asked.set()
        return await asyncio.get_running_loop().create_future()


NOTHING: Any = None


def version(number: int) -> Any:
    task: Any = Task()
    return Predictor("m", number, "", task, task, NOTHING, NOTHING)


class FakePool:
    ready = True
    stopping = False
    only = None
    missing = ("broken", "coming")

    def __init__(self) -> None:
        self.routes = {name: Route(name, 4, "sha") for name in ("m", "broken", "coming")}
        self.served = {"m": Served(version(4))}
        reason = "version 4 could not be loaded."
        self.failures = {("broken", 4): Failure(self.routes["broken"], reason, 0)}

    def try_out(self, mode: str, share: float) -> None:
        self.served["m"] = Served(version(4), version(5), Tried(5, "sha", mode, share))

    def failure(self, name: str) -> Failure | None:
        return self.failures.get((name, 4))

    async def waited_for(self, name: str) -> Served:
        if name == "new":
            self.routes = {**self.routes, "new": Route("new", 4, "sha")}
            return self.served["m"]
        if name != "m":
            raise UnknownNameError("endpoint", name, ["m"])
        return self.served["m"]


class Recorder(Silent):
    def __init__(self) -> None:
        self.records: list[RequestRecord] = []
        self.shadows: list[ShadowRecord] = []

    def request(self, record: RequestRecord) -> None:
        self.records.append(record)

    def shadow(self, record: ShadowRecord) -> None:
        self.shadows.append(record)
