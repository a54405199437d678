"""Endpoints share a replica fairly, and rows of one request are batched by their size."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from regraft.errors import DeadlineError, OverloadedError
from regraft.serving import waiting
from regraft.serving.batcher import Batcher
from tests.serving.test_batcher import Gate, predictor, run, settle


def later(batcher: Batcher, of: Any, rows: list[str], **more: Any) -> "asyncio.Task[Any]":
    return asyncio.create_task(batcher.predict(of, rows, **more))


def test_nobody_waits_behind_all_that_another_endpoint_has_sent() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        one, other = predictor(gate), predictor(gate, "other", "h")
        jobs = [later(batcher, one, ["first"])]
        await settle()
        jobs += [later(batcher, one, ["x"] * 16) for _ in range(6)]
        await settle()
        jobs.append(later(batcher, other, ["y"]))
        await settle()
        gate.open.set()
        await asyncio.gather(*jobs)

    run(scenario)
    assert ["y"] in gate.batches[1:3]


def test_of_one_endpoint_who_came_first_is_first() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        jobs = [later(batcher, predictor(gate), ["first"])]
        await settle()
        jobs += [later(batcher, predictor(gate), [text] * 16) for text in "abcd"]
        await settle()
        gate.open.set()
        await asyncio.gather(*jobs)

    run(scenario)
    assert [batch[0] for batch in gate.batches] == ["first", *"abcd"]


def test_a_queue_that_another_filled_has_a_share_for_who_comes() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        one, other = predictor(gate), predictor(gate, "other")
        jobs = [later(batcher, one, ["first"])]
        await settle()
        jobs += [later(batcher, one, ["x"]) for _ in range(4)]
        await settle()
        jobs += [later(batcher, other, ["y"]) for _ in range(2)]
        await settle()
        for who in (one, other):
            with pytest.raises(OverloadedError):
                await batcher.predict(who, ["z"])
        gate.open.set()
        await asyncio.gather(*jobs)

    run(scenario, queued_rows=4)


def test_rows_of_one_request_are_batched_by_their_size_and_come_back_in_order() -> None:
    gate = Gate()
    rows = ["x" * (5 if n % 2 else 400) for n in range(32)]
    of = predictor(gate, largest=16 * 512)
    answer = run(lambda batcher: batcher.predict(of, rows))
    assert answer["length"].tolist() == [len(row) for row in rows]
    assert [set(map(len, batch)) for batch in gate.batches] == [{5}, {400}]


@pytest.mark.parametrize("rows", [["xxx", "x", "xx"], ["x" * (n * 7 % 40) for n in range(40)]])
def test_rows_of_one_request_come_back_in_order_whatever_their_sizes(rows: list[str]) -> None:
    answer = run(lambda batcher: batcher.predict(predictor(Gate()), rows))
    assert answer["length"].tolist() == [len(row) for row in rows]


def test_a_request_of_large_rows_is_split_by_the_largest_batch() -> None:
    gate = Gate()
    run(lambda batcher: batcher.predict(predictor(gate, largest=1000), ["x" * 400] * 6))
    assert [len(batch) for batch in gate.batches] == [2, 2, 2]


def test_what_can_wait_has_its_turn_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr(waiting, "PATIENCE", 0.02)

    async def scenario(batcher: Batcher) -> bool:
        of, until = predictor(gate), time.monotonic() + 5

        async def steadily() -> None:
            while time.monotonic() < until and not copy.done():
                await batcher.predict(of, ["x"])

        clients = [asyncio.create_task(batcher.predict(of, ["x"])) for _ in range(4)]
        copy = later(batcher, of, ["copy"], later=True)
        await asyncio.gather(*clients, *(steadily() for _ in range(4)))
        return copy.done()

    assert run(scenario)
    assert ["copy"] in gate.batches


def clients(batcher: Batcher, of: Any, count: int, done: "Counter[str]", until: float) -> list[Any]:
    """That ask again as soon as they are answered."""

    async def client() -> None:
        while time.monotonic() < until:
            await batcher.predict(of, ["x"])
            done[of.name] += 1

    return [asyncio.create_task(client()) for _ in range(count)]


@pytest.mark.parametrize("group", ["g", "h"])
def test_a_flood_leaves_others_their_share_whether_the_backbone_is_theirs_too(group: str) -> None:
    gate, done = Gate(), Counter[str]()

    async def scenario(batcher: Batcher) -> None:
        until = time.monotonic() + 0.5
        flood, calm = predictor(gate, "flood"), predictor(gate, "calm", group)
        asking = clients(batcher, flood, 200, done, until)
        await asyncio.gather(*asking, *clients(batcher, calm, 32, done, until))

    run(scenario)
    assert done["calm"] > done["flood"] / 2


def test_what_was_given_up_is_not_held_against_its_endpoint() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        steady, left = predictor(gate, "steady"), predictor(gate, "left", "h")
        jobs = [later(batcher, steady, ["first"])]
        await settle()
        given_up = [later(batcher, left, ["x"] * 16) for _ in range(20)]
        await settle()
        for job in given_up:
            job.cancel()
        jobs += [later(batcher, steady, ["s"] * 16) for _ in range(5)]
        await settle()
        jobs.append(later(batcher, left, ["back"]))
        await settle()
        gate.open.set()
        await asyncio.gather(*jobs)

    run(scenario)
    assert ["back"] in gate.batches[1:3]


def test_rows_whose_time_is_over_are_not_computed() -> None:
    gate = Gate()

    async def scenario(batcher: Batcher) -> None:
        gate.open.clear()
        of = predictor(gate)
        first = later(batcher, of, ["first"])
        await settle()
        now = time.perf_counter()
        late = later(batcher, of, ["late"], deadline=now + 0.01)
        split = later(batcher, of, ["x"] * 20, deadline=now + 0.01)
        soon = later(batcher, of, ["soon"], deadline=now + 60)
        await asyncio.sleep(0.02)
        gate.open.set()
        for over in (late, split):
            with pytest.raises(DeadlineError, match="time was over"):
                await over
        await asyncio.gather(first, soon)

    run(scenario)
    assert gate.batches == [["first"], ["soon"]]
