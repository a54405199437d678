"""Dynamic batching, with a worker thread that waits until it is told to go on."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from regraft.errors import NotReadyError, OverloadedError, TooLargeError
from regraft.serving.batcher import Batcher
from regraft.serving.memory import BackboneMemory
from regraft.serving.telemetry import BatchRecord, Silent
from regraft.serving.waiting import Limits


class Gate:
    """A backbone that notes its batches and computes only while the gate is open."""

    loaded, users, used = True, 0, 0.0

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def features(self, batch: dict[str, Any]) -> Any:
        self.batches.append(list(batch["rows"]))
        self.threads.append(threading.current_thread().name)
        assert self.open.wait(10)
        if "poison" in batch["rows"]:
            raise ValueError("this row breaks the model")
        return np.array([[len(row)] for row in batch["rows"]], dtype=np.float32)


def predictor(gate: Gate, name: str = "one", group: str = "g", largest: int = 10**9) -> Any:
    task = SimpleNamespace(
        size=len,
        largest_batch=largest,
        pads=True,
        encode=lambda rows: {"rows": rows},
        decode=lambda outputs: {"length": outputs[:, 0]},
    )
    shared = {
        "group": group,
        "task": task,
        "encoder": task,
        "backbone": gate,
        "head": lambda features: features,
        "watch": None,
    }
    return SimpleNamespace(name=name, version=1, **shared)


class Recorder(Silent):
    def __init__(self) -> None:
        self.records: list[BatchRecord] = []

    def batch(self, record: BatchRecord) -> None:
        self.records.append(record)


def run(scenario: Callable[[Batcher], Awaitable[Any]], **limits: Any) -> Any:
    async def main() -> Any:
        with ThreadPoolExecutor(1, "worker") as worker:
            return await scenario(
                Batcher(worker, Limits(**limits), Recorder(), BackboneMemory(list))
            )

    return asyncio.run(main())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0.002)


def test_an_idle_batcher_runs_at_once() -> None:
    gate = Gate()
    answer = run(lambda batcher: batcher.predict(predictor(gate), ["abc"]))
    assert answer["length"].tolist() == [3]
    assert gate.batches == [["abc"]]


def test_a_busy_batcher_collects_and_answers_each_its_own() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> list[Any]:
        gate.open.clear()
        tasks = [asyncio.create_task(batcher.predict(predictor(gate), ["a" * n])) for n in (1, 2)]
        await settle()
        tasks += [asyncio.create_task(batcher.predict(predictor(gate), ["a" * n])) for n in (3, 4)]
        await settle()
        gate.open.set()
        return [answer["length"].tolist() for answer in await asyncio.gather(*tasks)]

    assert run(scenario) == [[1], [2], [3], [4]]
    assert [len(batch) for batch in gate.batches] == [2, 2]


def test_what_comes_at_once_is_one_batch() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.predict(predictor(gate), ["x"]) for _ in range(5)))

    run(scenario)
    assert gate.batches == [["x"] * 5]


def test_a_lone_request_known_to_be_short_does_without_the_worker() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        for text in ("abc", "ab", "abcdef", "abcde"):
            await batcher.predict(predictor(gate), [text])

    run(scenario, short_seconds=60.0)
    here = threading.current_thread().name
    assert [name == here for name in gate.threads] == [False, True, False, True]


def test_what_takes_long_goes_to_the_worker() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        for _ in range(3):
            await batcher.predict(predictor(gate), ["abc"])

    run(scenario, short_seconds=0.0)
    assert all(name.startswith("worker") for name in gate.threads)


def test_a_busy_server_goes_on_with_the_worker() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        for _ in range(3):
            await asyncio.gather(*(batcher.predict(predictor(gate), ["abc"]) for _ in range(2)))
        await batcher.predict(predictor(gate), ["a"])

    run(scenario, short_seconds=60.0)
    assert all(name.startswith("worker") for name in gate.threads)


def test_a_lone_request_that_fails_leaves_the_batcher_serving() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> Any:
        await batcher.predict(predictor(gate), ["a long enough row"])
        with pytest.raises(ValueError, match="breaks the model"):
            await batcher.predict(predictor(gate), ["poison"])
        return await batcher.predict(predictor(gate), ["ab"])

    assert run(scenario, short_seconds=60.0)["length"].tolist() == [2]


def test_what_is_no_exception_fails_a_request_and_nothing_else() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> Any:
        def panic(rows: Any) -> Any:
            raise SystemExit("panic")

        broken = predictor(gate)
        broken.encoder.encode = panic
        with pytest.raises(RuntimeError, match="SystemExit: panic"):
            await batcher.predict(broken, ["a"])
        return await batcher.predict(predictor(gate), ["ab"])

    assert run(scenario)["length"].tolist() == [2]


def test_a_request_of_many_rows_comes_back_in_order() -> None:
    gate = Gate()
    rows = ["x" * n for n in range(1, 41)]
    answer = run(lambda batcher: batcher.predict(predictor(gate), rows), batch_rows=16)
    assert answer["length"].tolist() == list(range(1, 41))
    assert max(len(batch) for batch in gate.batches) <= 16


def test_rows_of_different_groups_are_not_mixed() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        names = ["a", "b", "a", "b"]
        jobs = [batcher.predict(predictor(gate, group=g), [g]) for g in names]
        tasks = [asyncio.create_task(job) for job in jobs]
        await settle()
        gate.open.set()
        await asyncio.gather(*tasks)

    run(scenario)
    assert all(len(set(batch)) == 1 for batch in gate.batches)


def test_a_batch_is_bounded_by_its_padded_size() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        of = predictor(gate, largest=25)
        tasks = [asyncio.create_task(batcher.predict(of, ["x" * 10])) for _ in range(5)]
        await settle()
        gate.open.set()
        await asyncio.gather(*tasks)

    run(scenario)
    assert [len(batch) for batch in gate.batches] == [2, 2, 1]


def test_a_batch_is_not_padded_for_much_longer_rows() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        of = predictor(gate, largest=1000)
        sizes = (1, 100, 30, 102, 5, 99, 10)
        tasks = [asyncio.create_task(batcher.predict(of, ["x" * size])) for size in sizes]
        await settle()
        gate.open.set()
        await asyncio.gather(*tasks)

    run(scenario, batch_rows=16)
    assert [sorted(map(len, batch)) for batch in gate.batches] == [
        [1, 5],
        [99, 100, 102],
        [30],
        [10],
    ]


def test_what_can_wait_is_computed_once_nobody_waits() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> list[Any]:
        gate.open.clear()
        of = predictor(gate)
        jobs = [asyncio.create_task(batcher.predict(of, ["first"]))]
        await settle()
        for text, later in (("copy", True), ("second", False)):
            jobs.append(asyncio.create_task(batcher.predict(of, [text], later=later)))
        await settle()
        gate.open.set()
        return await asyncio.gather(*jobs)

    answers = run(scenario)
    assert gate.batches == [["first"], ["second"], ["copy"]]
    assert [answer["length"].tolist() for answer in answers] == [[5], [4], [6]]
    assert set(gate.threads) == {"worker_0"}


def test_a_poison_request_fails_alone() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> list[Any]:
        gate.open.clear()
        texts = ["first", "good", "poison", "fine"]
        jobs = [asyncio.create_task(batcher.predict(predictor(gate), [t])) for t in texts]
        await settle()
        gate.open.set()
        return await asyncio.gather(*jobs, return_exceptions=True)

    answers = run(scenario)
    assert [isinstance(answer, ValueError) for answer in answers] == [False, False, True, False]


def test_clients_that_leave_are_dropped_before_they_are_computed_and_others_served() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> Any:
        gate.open.clear()
        of = predictor(gate)
        tasks = [asyncio.create_task(batcher.predict(of, ["row 0"]))]
        await settle()
        tasks += [asyncio.create_task(batcher.predict(of, [f"row {n}"])) for n in range(1, 50)]
        await settle()
        for task in tasks:
            task.cancel()
        await settle()
        gate.open.set()
        return await batcher.predict(of, ["after"])

    assert run(scenario)["length"].tolist() == [5]
    assert gate.batches == [["row 0"], ["after"]]


def test_a_full_queue_is_told_with_when_to_come_back() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        of = predictor(gate)
        tasks = [asyncio.create_task(batcher.predict(of, ["x"]))]
        await settle()
        tasks += [asyncio.create_task(batcher.predict(of, ["x"])) for _ in range(4)]
        await settle()
        with pytest.raises(OverloadedError) as refused:
            await batcher.predict(of, ["x"])
        assert refused.value.retry_after >= 1
        gate.open.set()
        await asyncio.gather(*tasks)
        assert (await batcher.predict(of, ["xx"]))["length"].tolist() == [2]

    run(scenario, queued_rows=4)


def test_a_request_that_never_fits_is_too_large() -> None:
    with pytest.raises(TooLargeError, match="at most 4"):
        run(lambda batcher: batcher.predict(predictor(Gate()), ["x"] * 5), queued_rows=4)


def test_a_failure_says_nothing_of_how_long_such_work_takes() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        for text in ("poison", "poison", "abcdef"):
            await asyncio.gather(batcher.predict(predictor(gate), [text]), return_exceptions=True)

    run(scenario, short_seconds=60.0)
    assert all(name.startswith("worker") for name in gate.threads)


def test_a_stopped_worker_fails_requests_at_once_instead_of_keeping_them() -> None:
    async def scenario(batcher: Batcher) -> None:
        batcher.worker.shutdown()
        for _ in range(2):
            with pytest.raises(NotReadyError, match="stopping"):
                await asyncio.wait_for(batcher.predict(predictor(Gate()), ["a"]), 5)

    run(scenario)


def test_a_batch_that_was_taken_off_the_worker_is_failed() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        blocker = batcher.worker.submit(gate.open.wait, 10)
        asked = asyncio.create_task(batcher.predict(predictor(gate), ["a"]))
        await settle()
        batcher.worker.shutdown(wait=False, cancel_futures=True)
        gate.open.set()
        with pytest.raises(NotReadyError, match="stopping"):
            await asyncio.wait_for(asked, 5)
        blocker.result()

    run(scenario)


def test_every_batch_is_recorded_with_its_rows_and_waits() -> None:
    async def scenario(batcher: Batcher) -> list[BatchRecord]:
        await batcher.predict(predictor(Gate(), name="tweets"), ["x", "y"])
        return batcher.telemetry.records  # type: ignore[attr-defined]

    (record,) = run(scenario)
    (part,) = record.parts
    assert (part.name, part.version, part.rows, record.rows) == ("tweets", "1", 2, 2)
    assert part.queued >= 0
    assert min(record.encoding, record.computing, record.answering) > 0
    assert record.endpoints == {("tweets", "1")}
