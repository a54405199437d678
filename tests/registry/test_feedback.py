"""Predictions that replicas left, and true labels that came back for them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from regraft.domain import Blob
from regraft.errors import UnknownNameError
from regraft.registry import feedback
from regraft.registry.feedback import Live, TrueLabel
from regraft.registry.store import Registry
from regraft.serving.predictions import MOST_FILES, Predictions
from regraft.serving.telemetry import RequestRecord, Told


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    made = Registry(tmp_path, database)
    made.models.publish("m", Blob("a" * 64, 1), {}, promote=True)
    return made


def told(*labels: str) -> Told:
    scores = np.linspace(0.5, 1, len(labels)).astype(np.float32)
    return Told(np.array([label.encode() for label in labels], object), scores)


def predict(registry: Registry, request: str, *labels: str, version: str = "1") -> None:
    kept = Predictions(registry.home.predictions)
    kept.request(RequestRecord("m", version, len(labels), 200, 0.1, request, told(*labels)))
    kept.request(RequestRecord("m", version, 1, 400, 0.1, "refused"))
    kept.write()


def test_true_labels_are_joined_by_request_and_row(registry: Registry) -> None:
    predict(registry, "r1", "é", "b")
    predict(registry, "r2", "b", version="2")
    assert registry.feedback.ingest() == 3
    labels = [TrueLabel("r1", "é"), TrueLabel("r1", "c", 1), TrueLabel("r2", "b")]
    assert registry.feedback.add("m", labels) == 2
    assert registry.feedback.live("m") == [
        Live(2, {"b": 1}, judged=1, right=1),
        Live(1, {"b": 1, "é": 1}, judged=2, right=1),
    ]


def test_a_label_may_come_first_and_may_come_again(registry: Registry) -> None:
    assert registry.feedback.add("m", [TrueLabel("r1", "b")]) == 0
    assert registry.feedback.add("m", [TrueLabel("r1", "a")]) == 0
    predict(registry, "r1", "a")
    registry.feedback.ingest()
    assert registry.feedback.live("m") == [Live(1, {"a": 1}, judged=1, right=1)]


def test_a_label_counts_once_for_the_last_of_its_predictions(registry: Registry) -> None:
    for version in ("1", "1", "2"):
        predict(registry, "seven", "a", version=version)
    predict(registry, "seven", "b", version="2")
    registry.feedback.ingest()
    registry.feedback.add("m", [TrueLabel("seven", "a")])
    assert registry.feedback.judged("m") == {2: (1, 0)}
    assert registry.feedback.live("m")[1] == Live(1, {"a": 2}, judged=0, right=0)


def test_labels_are_told_of_predictions_since_a_time(registry: Registry) -> None:
    predict(registry, "r1", "a")
    between = datetime.now(UTC)
    predict(registry, "r2", "b")
    registry.feedback.ingest()
    registry.feedback.add("m", [TrueLabel("r1", "a"), TrueLabel("r2", "a")])
    assert registry.feedback.judged("m") == {1: (2, 1)}
    assert registry.feedback.judged("m", between) == {1: (1, 0)}


def test_what_was_taken_in_is_not_taken_in_again(registry: Registry) -> None:
    predict(registry, "r1", "a")
    assert [registry.feedback.ingest() for _ in range(2)] == [1, 0]


def test_an_unknown_endpoint_has_no_feedback(registry: Registry) -> None:
    with pytest.raises(UnknownNameError):
        registry.feedback.add("n", [TrueLabel("r1", "a")])
    with pytest.raises(UnknownNameError):
        registry.feedback.live("n")


def test_the_oldest_predictions_and_their_labels_go(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "KEPT", 2)
    registry.feedback.add("m", [TrueLabel("r0", "a")])
    for number in range(4):
        predict(registry, f"r{number}", "a")
        registry.feedback.ingest()
    assert registry.feedback.live("m") == [Live(1, {"a": 2}, judged=0, right=0)]
    assert registry.feedback.add("m", [TrueLabel("r0", "a"), TrueLabel("r3", "a")]) == 1


def test_files_that_nobody_takes_do_not_fill_the_disk(registry: Registry) -> None:
    for number in range(MOST_FILES + 3):
        predict(registry, f"r{number}", "a")
    assert len(list(registry.home.predictions.iterdir())) == MOST_FILES
