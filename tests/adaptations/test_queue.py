"""What waits for its turn: how many at a time, and whose is next."""

from collections.abc import Callable
from pathlib import Path

import pytest

from regraft.adaptations.queue import Queue
from regraft.domain import AdaptationSpec, State
from regraft.identity.caller import View
from regraft.registry.runs import MOST_INTERRUPTED, RunRegistry
from regraft.registry.store import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


@pytest.fixture
def submit(registry: Registry) -> Callable[..., list[str]]:
    """So many of a project, submitted to a server; their ids."""

    def submitted(project: str, count: int) -> list[str]:
        runs = registry.within(View(project, everywhere=False)).runs
        spec = AdaptationSpec(name=f"of-{project}", source="a", data="dataset:d-0")
        return [runs.submit(spec, on_server=True)[0].id for _ in range(count)]

    return submitted


class Cluster:
    """Begins what is launched at once, as an actor would; ends what it is told to."""

    def __init__(self, runs: RunRegistry) -> None:
        self.runs = runs
        self.launched: list[str] = []

    def __call__(self, identifier: str) -> None:
        self.launched.append(identifier)
        self.runs.start(identifier)

    def end(self, identifier: str) -> None:
        self.runs.finish(identifier, State.SUCCEEDED)

    def queue(self, most: int) -> Queue:
        return Queue(self.runs, self, nobody, most)


def nobody(identifier: str) -> bool:
    """No process lives that another server started."""
    return False


@pytest.fixture
def cluster(registry: Registry) -> Cluster:
    return Cluster(registry.runs)


def test_so_many_are_at_work_and_the_oldest_is_next(
    registry: Registry, submit: Callable[..., list[str]], cluster: Cluster
) -> None:
    ids, queue = submit("a", 4), cluster.queue(2)
    queue.step(), queue.step()
    assert cluster.launched == ids[:2]
    cluster.end(ids[1])
    queue.step()
    assert cluster.launched == ids[:3]


def test_projects_take_turns_however_much_one_of_them_has_submitted(
    registry: Registry, submit: Callable[..., list[str]], cluster: Cluster
) -> None:
    ours, theirs = submit("a", 25), submit("b", 25)
    queue = cluster.queue(2)
    for _ in range(60):
        queue.step()
        at_work = [run.project for run in registry.runs.unfinished() if run.state == State.RUNNING]
        assert len(at_work) <= 2
        if len(cluster.launched) < 49:
            assert sorted(at_work) == ["a", "b"]
        for identifier in cluster.launched[-2:]:
            cluster.end(identifier)
    assert sorted(cluster.launched) == sorted([*ours, *theirs])
    assert registry.runs.unfinished() == []


def test_what_waits_is_told_so_once(
    registry: Registry, submit: Callable[..., list[str]], cluster: Cluster
) -> None:
    first, second = submit("a", 2)
    queue = cluster.queue(1)
    queue.step(), queue.step()
    assert registry.runs.events(first) == []
    (event,) = registry.runs.events(second)
    assert (event.kind, event.data) == ("queued", {"working": 1, "most": 1})


def test_one_that_was_launched_and_has_not_begun_takes_its_place(
    registry: Registry, submit: Callable[..., list[str]]
) -> None:
    ids, launched = submit("a", 2), list[str]()
    queue = Queue(registry.runs, launched.append, nobody, 1)
    queue.step(), queue.step()
    assert launched == ids[:1]


def test_one_that_cannot_be_started_fails_and_the_next_is_tried(
    registry: Registry, submit: Callable[..., list[str]]
) -> None:
    first, second = submit("a", 2)
    launched: list[str] = []

    def launch(identifier: str) -> None:
        if identifier == first:
            raise ConnectionError("no cluster")
        launched.append(identifier)

    Queue(registry.runs, launch, nobody, 1).step()
    assert registry.runs.get(first).reason == "The server could not start the run."
    assert launched == [second]


def test_another_server_goes_on_with_what_waits(
    registry: Registry, submit: Callable[..., list[str]], cluster: Cluster
) -> None:
    ids = submit("a", 3)
    cluster.queue(1).step()
    after = cluster.queue(3)
    after.step(), after.step()
    assert sorted(cluster.launched) == sorted([ids[0], *ids])
    assert registry.runs.get(ids[0]).interrupted == 1


def test_what_lives_on_is_followed_and_not_started_again(
    registry: Registry, submit: Callable[..., list[str]], cluster: Cluster
) -> None:
    """As a run does whose server was started anew on the same cluster."""
    ids, adopted = submit("a", 2), list[str]()
    cluster.queue(1).step()
    after = Queue(registry.runs, cluster, lambda run: adopted.append(run) is None, 1)
    after.step(), after.step()
    assert (adopted, cluster.launched) == (ids[:1], ids[:1])
    assert registry.runs.get(ids[0]).interrupted == 0


def test_one_whose_process_ends_is_started_again_and_in_the_end_given_up(
    registry: Registry, submit: Callable[..., list[str]], cluster: Cluster
) -> None:
    (run,), queue = submit("a", 1), cluster.queue(1)
    for _ in range(MOST_INTERRUPTED):
        queue.step()
        registry.runs.interrupt(registry.runs.get(run), "Its process ended")
    queue.step()
    assert cluster.launched == [run] * MOST_INTERRUPTED
    assert registry.runs.get(run).reason == "Its process ended, for the 4th time."


def test_what_was_cancelled_meanwhile_is_not_started(
    registry: Registry, submit: Callable[..., list[str]], cluster: Cluster
) -> None:
    first, second = submit("a", 2)
    registry.runs.request_cancel(first)
    cluster.queue(2).step()
    assert cluster.launched == [second]
