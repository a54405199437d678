"""Versions that do worse than the one before are taken back, others are not."""

import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from regraft.domain import Blob
from regraft.reconcile.guard import WATCHED_SECONDS, Guard, Seen, objection
from regraft.reconcile.reconciler import Reconciler
from regraft.registry.feedback import Judged, TrueLabel
from regraft.registry.store import Registry
from regraft.serving.predictions import Predictions
from regraft.serving.statistics import Statistics
from regraft.serving.telemetry import RequestRecord, Told

FINE = Seen(
    requests=1000,
    faults=1,
    batches={(1, 4): (600, 3.0), (16, 4): (100, 3.2)},
    judged=200,
    right=180,
)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (Seen(requests=20, faults=5), "5 of its 20 requests broke"),
        (Seen(batches={(1, 4): (100, 5.0)}), "A row took it 50 ms, the other version 5 ms"),
        (Seen(batches={(16, 4): (10, 1.6)}), "A row took it 10 ms, the other version 2 ms"),
        (Seen(requests=60, judged=60, right=40), "66.7% of 60 answers were right"),
    ],
)
def test_a_version_that_does_worse_is_objected_to(new: Seen, words: str) -> None:
    assert words in (objection(new, FINE) or "")


@pytest.mark.parametrize(
    "new",
    [
        FINE,
        Seen(),
        Seen(requests=19, faults=19),
        Seen(requests=40, faults=1),
        Seen(batches={(1, 4): (100, 1.4)}),
        Seen(batches={(1, 4): (49, 50.0)}),
        Seen(batches={(16, 4): (4, 50.0), (2, 4): (100, 50.0)}),
        Seen(batches={(1, 7): (100, 5.0)}),  # much longer rows, of which the other had none
        Seen(requests=60, judged=60, right=50),
    ],
)
def test_a_version_that_may_be_as_good_stays(new: Seen) -> None:
    assert objection(new, FINE) is None


def test_two_versions_that_are_as_good_are_seldom_told_apart_however_often_one_looks() -> None:
    rng, taken = np.random.default_rng(0), 0
    for _ in range(50):
        hits = rng.random((2, 2000)) < 0.9
        seen = np.cumsum(hits, axis=1)
        for of in range(30, 2001, 80):
            new, old = (
                Seen(
                    requests=of, faults=of - int(right[of - 1]), judged=of, right=int(right[of - 1])
                )
                for right in seen
            )
            if objection(new, old):
                taken += 1
                break
    assert taken <= 1


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry(tmp_path)
    for letter in "ab":
        made.models.publish("m", Blob(letter * 64, 1), {}, promote=letter == "a")
    return made


def ask(registry: Registry, version: int, status: int, count: int) -> None:
    statistics = Statistics(registry.home.statistics)
    for _ in range(count):
        statistics.request(RequestRecord("m", str(version), 1, status, 0.1))
    statistics.write()


def test_a_canary_that_breaks_is_taken_back_with_the_reason(registry: Registry) -> None:
    registry.rollouts.try_out("m", 2, "canary", 0.5)
    guard = Guard(registry)
    guard.step()
    ask(registry, 1, 200, 30), ask(registry, 2, 500, 30)
    guard.step()
    assert registry.models.endpoint("m").trial is None
    last = registry.rollouts.history("m")[0]
    assert (last.action, last.reason) == (
        "rollback",
        "30 of its 30 requests broke, 0.0% of the other version's.",
    )


def test_what_breaks_as_often_beside_it_is_no_reason(registry: Registry) -> None:
    ask(registry, 1, 200, 2000)
    registry.rollouts.try_out("m", 2, "canary", 0.5)
    guard = Guard(registry)
    guard.step()
    for version in (1, 2):
        ask(registry, version, 200, 40), ask(registry, version, 500, 20)
    guard.step()
    assert registry.models.endpoint("m").trial is not None


def test_what_cannot_be_had_of_a_version_is_no_fault_of_it(registry: Registry) -> None:
    registry.rollouts.try_out("m", 2, "canary", 0.5)
    guard = Guard(registry)
    guard.step()
    ask(registry, 2, 501, 30)
    guard.step()
    assert registry.models.endpoint("m").trial is not None


def test_what_was_counted_before_is_not_counted_again() -> None:
    now = Seen(30, 3, {(1, 4): (20, 2.0), (2, 4): (5, 1.0)})
    assert now.since(Seen(10, 1, {(1, 4): (15, 1.5)})) == Seen(
        20, 2, {(1, 4): (5, 0.5), (2, 4): (5, 1.0)}
    )
    assert now.since(Seen(10, 1, {4: (1, 1.0)})) == now, "the server began anew"


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_who_answers_is_watched_also_while_another_is_tried(registry: Registry, mode: str) -> None:
    registry.models.publish("m", Blob("c" * 64, 1), {}, promote=False)
    registry.models.promote("m", 2)
    registry.rollouts.try_out("m", 3, mode, 0.5)
    guard = Guard(registry)
    guard.step()
    ask(registry, 1, 200, 30), ask(registry, 2, 500, 30)
    guard.step()
    endpoint = registry.models.endpoint("m")
    assert (endpoint.version, endpoint.trial) == (1, None)


def test_a_trial_that_ends_does_not_end_the_watch_on_who_answers(registry: Registry) -> None:
    registry.models.publish("m", Blob("c" * 64, 1), {}, promote=False)
    registry.models.promote("m", 2)
    guard = Guard(registry)
    guard.step()
    registry.rollouts.try_out("m", 3, "shadow", 1.0)
    registry.models.roll_back("m")
    ask(registry, 2, 500, 30)
    guard.step()
    assert registry.models.endpoint("m").version == 1


def test_who_cannot_be_looked_at_keeps_no_other_from_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for letter in "ab":
        registry.models.publish("a", Blob(letter * 64, 1), {}, promote=True)
    registry.rollouts.try_out("m", 2, "canary", 0.5)
    judged = registry.feedback.judged

    def broken(name: str, since: datetime | None = None) -> dict[int, Judged]:
        if name == "a":
            raise OSError("the disk is broken")
        return judged(name, since)

    monkeypatch.setattr(registry.feedback, "judged", broken)
    guard = Guard(registry)
    guard.step()
    ask(registry, 2, 500, 30)
    guard.step()
    assert registry.models.endpoint("m").trial is None


def test_what_broke_before_the_trial_and_overload_do_not_count(registry: Registry) -> None:
    ask(registry, 2, 500, 30)
    registry.rollouts.try_out("m", 2, "canary", 0.5)
    guard = Guard(registry)
    guard.step()
    ask(registry, 2, 503, 30), ask(registry, 2, 400, 30)
    guard.step()
    assert registry.models.endpoint("m").trial is not None


def test_a_promoted_version_is_watched_for_a_while_and_no_rollback_is(registry: Registry) -> None:
    registry.models.promote("m", 2)
    guard = Guard(registry)
    guard.step()
    ask(registry, 2, 500, 30)
    Guard(registry, lambda: time.time() + WATCHED_SECONDS).step()
    assert registry.models.endpoint("m").version == 2
    guard.step()
    assert registry.models.endpoint("m").version == 1
    ask(registry, 1, 500, 300)
    guard.step()
    assert registry.models.endpoint("m").version == 1


def test_a_version_that_errs_by_the_labels_that_came_back_is_taken_back(registry: Registry) -> None:
    registry.rollouts.try_out("m", 2, "canary", 0.5)
    guard = Guard(registry)
    guard.step()
    kept = Predictions(registry.home.predictions)
    for number in range(80):
        version, wrong = 1 + number % 2, number % 4 == 1
        told = Told(np.array([b"wrong" if wrong else b"right"], object), None)
        kept.request(RequestRecord("m", str(version), 1, 200, 0.1, f"r{number}", told))
    kept.write()
    registry.feedback.ingest()
    registry.feedback.add("m", [TrueLabel(f"r{number}", "right") for number in range(80)])
    guard.step()
    assert registry.models.endpoint("m").trial is None
    assert "50.0% of 40 answers were right" in str(registry.rollouts.history("m")[0].reason)


def test_a_step_that_fails_keeps_no_other_from_its_turn() -> None:
    done = []

    def broken() -> None:
        raise OSError("the disk is full")

    Reconciler([broken, lambda: done.append(1)]).run_once()
    assert done == [1]
