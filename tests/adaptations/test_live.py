"""How the versions of an endpoint do while they answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regraft.adaptations.live import describe_live, drift
from regraft.registry.feedback import TrueLabel
from regraft.registry.store import Registry
from regraft.serving.predictions import Predictions
from regraft.serving.profile import Profile
from regraft.serving.statistics import Statistics
from regraft.serving.telemetry import BatchPart, BatchRecord, RequestRecord, ShadowRecord, Told


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A version that predicted `a` of 40 of 100 test rows, and `b` of the others."""
    made = Registry(tmp_path)
    report = {"metrics": {"confusion": [[30, 20], [10, 40]]}}
    manifest = {
        "labels": ["a", "b"],
        "report": made.blobs.put(json.dumps(report).encode()).as_dict(),
    }
    stored = made.blobs.put(json.dumps(manifest).encode())
    for _ in range(2):
        made.models.publish("m", stored, {}, promote=True)
    return made


def predict(registry: Registry, labels: list[str]) -> None:
    kept = Predictions(registry.home.predictions)
    for number, label in enumerate(labels):
        told = Told(np.array([label.encode()], object), None)
        kept.request(RequestRecord("m", "2", 1, 200, 0.1, f"r{number}", told))
    kept.write()
    registry.feedback.ingest()


def test_requests_copies_labels_and_drift_are_told_by_version(registry: Registry) -> None:
    statistics = Statistics(registry.home.statistics)
    for status in (200, 200, 400, 500):
        statistics.request(RequestRecord("m", "2", 1, status, 0.25))
    for agreed in (1.5, None):
        statistics.shadow(ShadowRecord("m", "1", 2, agreed, 0.5))
    statistics.write()
    predict(registry, ["a"] * 80 + ["b"] * 20)
    registry.feedback.add("m", [TrueLabel(f"r{n}", "a") for n in range(70, 90)])
    newest, oldest = describe_live(registry, "m")
    assert (newest["version"], newest["requests"], newest["faults"]) == (2, 4, 1)
    assert newest["mean_seconds"] == 0.25
    assert (newest["judged"], newest["accuracy"]["value"]) == (20, 0.5)
    assert newest["accuracy"]["low"] < 0.3 < 0.7 < newest["accuracy"]["high"]
    assert newest["drift"]["distance"] == pytest.approx(0.4)
    assert newest["drift"]["p"] < 1e-6
    assert oldest["shadow"] == {
        "copies": 2,
        "failed": 1,
        "agreement": 0.75,
        "mean_seconds": 0.5,
    }


def test_a_version_that_was_deleted_is_told_no_more(registry: Registry) -> None:
    statistics = Statistics(registry.home.statistics)
    for version in ("1", "2"):
        statistics.request(RequestRecord("m", version, 1, 200, 0.25))
    statistics.write()
    registry.removal.delete("m", 1)
    assert [row["version"] for row in describe_live(registry, "m")] == [2]


def test_drift_of_inputs_is_told_of_the_figure_that_is_farthest(tmp_path: Path) -> None:
    registry, rng = Registry(tmp_path), np.random.default_rng(0)
    features = rng.normal(size=(300, 16)).astype(np.float32)
    profile = Profile.of(rng.normal(size=(300, 16)), features, {})
    manifest = {
        "labels": ["a", "b"],
        "report": registry.blobs.put(b"{}").as_dict(),
        "profile": registry.blobs.put(profile.dump()).as_dict(),
    }
    stored = registry.blobs.put(json.dumps(manifest).encode())
    for _ in range(2):
        registry.models.publish("m", stored, {}, promote=True)
    statistics = Statistics(registry.home.statistics)
    same = rng.normal(size=(200, 16)).astype(np.float32)
    for version, rows in (("1", same), ("2", same + 4 * profile.directions[0])):
        part = BatchPart("m", version, len(rows), 0.0, profile.bins(rows))
        statistics.batch(BatchRecord((part,), 0.0, 0.0, 0.0))
    statistics.write()
    moved, alike = (row["inputs"] for row in describe_live(registry, "m"))
    assert moved["distance"] > 0.8
    assert moved["p"] < 1e-9
    assert alike["distance"] < 0.3
    assert alike["p"] > 1e-3


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ({"a": 60}, {"a": 50, "b": 0}),
        ({"a": 49}, {"a": 60, "b": 40}),
        ({"a": 90}, {"a": 90}),
        ({}, {"a": 60}),
    ],
)
def test_few_predictions_or_one_label_tell_no_drift(now: Any, then: Any) -> None:
    assert drift(now, then) is None


def test_a_label_that_nobody_predicted_counts_for_nothing() -> None:
    found = drift({"a": 60, "c": 0}, {"a": 50, "b": 10, "c": 0})
    assert found == drift({"a": 60}, {"a": 50, "b": 10})
    assert found is not None


def test_equal_shares_are_no_drift_and_a_new_label_is(registry: Registry) -> None:
    same = drift({"a": 200, "b": 200}, {"a": 50, "b": 50})
    assert same is not None
    assert (same["distance"], same["p"]) == (0, 1)
    other = drift({"c": 100}, {"a": 50, "b": 50})
    assert other is not None
    assert other["distance"] == 1
