"""A batch waits a little for those who were just answered, and for nobody else."""

import asyncio
import time
from typing import Any

from regraft.serving.batcher import Batcher
from tests.serving.test_batcher import Gate, predictor, run, settle


class Slow(Gate):
    """Takes as long as it is told (s)."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def features(self, batch: dict[str, Any]) -> Any:
        time.sleep(self.seconds)
        return super().features(batch)


async def asking(batcher: Batcher, of: Any, times: int, pause: float) -> None:
    """A client that asks again a moment after it was answered."""
    for _ in range(times):
        await batcher.predict(of, ["text"])
        await asyncio.sleep(pause)


def test_a_batch_waits_for_those_who_were_just_answered() -> None:
    gate = Slow(0.05)

    async def scenario(batcher: Batcher) -> None:
        of = predictor(gate)
        await asyncio.gather(*(asking(batcher, of, 6, 0.005) for _ in range(4)))

    run(scenario)
    assert sum(map(len, gate.batches)) == 24
    assert len(gate.batches) <= 8, "not one after the other of two halves"


def test_a_batch_does_not_wait_for_those_who_do_not_come_back() -> None:
    gate = Slow(0.05)

    async def scenario(batcher: Batcher) -> None:
        of = predictor(gate)
        await asyncio.gather(*(batcher.predict(of, ["a"]) for _ in range(4)))
        assert batcher.lingering is not None
        await asyncio.wait_for(batcher.predict(of, ["b"]), 5)

    run(scenario)
    assert gate.batches == [["a"] * 4, ["b"]]


def test_a_batch_begins_as_soon_as_as_many_wait_as_did_before() -> None:
    gate = Slow(1.0)

    async def scenario(batcher: Batcher) -> None:
        of = predictor(gate)
        await asyncio.gather(*(batcher.predict(of, ["a"]) for _ in range(4)))
        gate.seconds = 0.0
        again = [asyncio.create_task(batcher.predict(of, ["b"])) for _ in range(4)]
        await settle()
        assert batcher.lingering is None
        await asyncio.gather(*again)

    run(scenario)
    assert gate.batches == [["a"] * 4, ["b"] * 4]


def test_a_batch_of_few_is_not_waited_for() -> None:
    gate = Slow(0.02)

    async def scenario(batcher: Batcher) -> None:
        of = predictor(gate)
        await asyncio.gather(*(batcher.predict(of, ["a"]) for _ in range(3)))
        assert batcher.lingering is None

    run(scenario)


def test_another_backbone_is_not_kept_waiting() -> None:
    gate, other = Slow(0.05), Slow(0.0)

    async def scenario(batcher: Batcher) -> None:
        of = predictor(gate)
        first = [asyncio.create_task(batcher.predict(of, ["a"])) for _ in range(4)]
        await asyncio.sleep(0.02)
        second = asyncio.create_task(batcher.predict(predictor(other, group="h"), ["b"]))
        await asyncio.gather(*first)
        assert batcher.lingering is None
        await second

    run(scenario)
