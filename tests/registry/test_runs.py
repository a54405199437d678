"""Adaptations: their states, their keys and their events."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regraft.domain import AdaptationSpec, State
from regraft.errors import ConflictError, QuotaError, UnknownNameError
from regraft.registry.runs import MOST_INTERRUPTED, RunRegistry
from regraft.registry.store import Registry

SPEC = AdaptationSpec(name="model", data="data.csv", source="any")


@pytest.fixture
def runs(tmp_path: Path, database: str | None) -> RunRegistry:
    return Registry(tmp_path, database).runs


@pytest.fixture
def run(runs: RunRegistry) -> str:
    return runs.submit(SPEC)[0].id


def test_submitted_run_keeps_its_spec(runs: RunRegistry, run: str) -> None:
    found = runs.get(run)
    assert (found.spec, found.state, found.finished) == (SPEC, State.SUBMITTED, None)


def test_run_goes_from_submitted_to_running_to_succeeded(runs: RunRegistry, run: str) -> None:
    assert runs.start(run)
    assert runs.get(run).state == State.RUNNING
    assert runs.finish(run, State.SUCCEEDED, result={"version": 1})
    found = runs.get(run)
    assert (found.state, found.result, found.reason) == (State.SUCCEEDED, {"version": 1}, None)
    assert found.finished is not None
    assert found.finished >= found.submitted


def test_run_starts_once(runs: RunRegistry, run: str) -> None:
    assert [runs.start(run) for _ in range(2)] == [True, False]


def test_run_finishes_once_whoever_comes_first(runs: RunRegistry, run: str) -> None:
    runs.start(run)
    states = [State.SUCCEEDED, State.FAILED] * 4
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda state: runs.finish(run, state, reason=str(state)), states))
    assert won.count(True) == 1
    assert runs.get(run).state == states[won.index(True)]


def test_cancel_before_the_start_is_final(runs: RunRegistry, run: str) -> None:
    assert runs.request_cancel(run).state == State.CANCELLED
    assert not runs.start(run)
    assert not runs.finish(run, State.SUCCEEDED)


def test_cancel_of_a_running_one_is_a_wish(runs: RunRegistry, run: str) -> None:
    runs.start(run)
    assert not runs.cancel_requested(run)
    assert runs.request_cancel(run).state == State.RUNNING
    assert runs.cancel_requested(run)


def test_cancel_of_a_finished_one_changes_nothing(runs: RunRegistry, run: str) -> None:
    runs.finish(run, State.SUCCEEDED)
    assert runs.request_cancel(run).state == State.SUCCEEDED
    assert not runs.cancel_requested(run)


def test_one_key_is_one_run_even_when_many_ask_at_once(runs: RunRegistry) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: runs.submit(SPEC, "key"), range(8)))
    assert len({adaptation.id for adaptation, _ in answers}) == 1
    assert sorted(new for _, new in answers) == [False] * 7 + [True]


def test_one_key_for_two_requests_is_a_conflict(runs: RunRegistry) -> None:
    runs.submit(SPEC, "key")
    with pytest.raises(ConflictError, match="already used for another request"):
        runs.submit(SPEC.model_copy(update={"seed": 1}), "key")


def test_runs_without_a_key_are_always_new(runs: RunRegistry) -> None:
    assert runs.submit(SPEC)[0].id != runs.submit(SPEC)[0].id


def test_all_lists_the_newest_first(runs: RunRegistry) -> None:
    made = [runs.submit(SPEC)[0].id for _ in range(3)]
    assert [adaptation.id for adaptation in runs.all()] == made[::-1]


def test_events_are_numbered_from_1_within_a_run(runs: RunRegistry, run: str) -> None:
    other = runs.submit(SPEC)[0].id
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: runs.record(run, "step", {"n": n}), range(12)))
    assert runs.record(other, "step", {}).number == 1
    assert [event.number for event in runs.events(run)] == list(range(1, 13))
    assert [event.number for event in runs.events(run, after=10)] == [11, 12]


def test_unknown_run_names_recent_ones(runs: RunRegistry, run: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Unknown adaptation 'a-0'.*{run}"):
        runs.get("a-0")


def test_a_run_is_interrupted_once_by_one_end_and_not_after_its_own(runs: RunRegistry) -> None:
    local, lost, done, waiting = (
        runs.submit(SPEC, on_server=on)[0].id for on in (False, True, True, True)
    )
    for run in (local, lost, done):
        runs.start(run)
    runs.finish(done, State.SUCCEEDED)
    seen = runs.get(lost)
    for _ in range(2):  # two servers hear of it
        runs.interrupt(seen, "It stopped")
    runs.interrupt(runs.get(done), "It stopped")
    states = [runs.get(run).state for run in (local, lost, done, waiting)]
    assert states == [State.RUNNING, State.SUBMITTED, State.SUCCEEDED, State.SUBMITTED]
    (told,) = runs.events(lost)
    assert (told.kind, told.data) == ("interrupted", {"times": 1, "reason": "It stopped."})
    assert runs.events(done) == []
    assert [run.id for run in runs.unfinished()] == [lost, waiting]


def test_what_ends_its_server_again_and_again_fails(runs: RunRegistry) -> None:
    run = runs.submit(SPEC, on_server=True)[0].id
    for _ in range(MOST_INTERRUPTED):
        assert runs.start(run)
        runs.interrupt(runs.get(run), "The server that ran it stopped")
    assert runs.get(run).state == State.FAILED
    assert runs.get(run).reason == "The server that ran it stopped, for the 4th time."
    assert [event.kind for event in runs.events(run)] == ["interrupted"] * 3 + ["failed"]


def test_a_project_has_so_many_at_a_time_and_a_replay_is_no_new_one(runs: RunRegistry) -> None:
    first, _ = runs.submit(SPEC, "key", most=2)
    second, _ = runs.submit(SPEC, most=2)
    with pytest.raises(QuotaError, match="Project 'default' has 2 adaptations that wait or run"):
        runs.submit(SPEC, most=2)
    assert runs.submit(SPEC, "key", most=2) == (first, False)
    assert len(runs.all()) == 2
    runs.request_cancel(second.id)
    assert runs.submit(SPEC, most=2)[1]


RACES = int(os.environ.get("REGRAFT_TEST_RACES", "20"))
"""200 are all."""


def test_who_cancels_while_a_run_ends_finds_one_end_and_the_run_tells_one(
    runs: RunRegistry,
) -> None:
    ends: Counter[State] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(RACES):
            run = runs.submit(SPEC)[0].id
            runs.start(run)

            def end(run: str = run) -> bool:
                state = State.CANCELLED if runs.cancel_requested(run) else State.SUCCEEDED
                return runs.finish(run, state)

            ended, asked = pool.submit(end), pool.submit(runs.request_cancel, run)
            assert ended.result()
            assert asked.result().id == run
            assert not runs.finish(run, State.FAILED)
            ends[runs.get(run).state] += 1
    print(dict(ends))
    assert set(ends) <= {State.SUCCEEDED, State.CANCELLED}
