"""What replicas count, and the sum of it as Prometheus reads it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from regraft.identity.authenticator import anybody
from regraft.serving.inference import Caps, Inference, Watchers
from regraft.serving.metrics import Metrics, prometheus
from regraft.serving.statistics import Statistics
from regraft.serving.telemetry import BatchPart, BatchRecord, RequestRecord, ShadowRecord, Told

MIXED = BatchRecord(
    (BatchPart("a", "1", 2, 0.5), BatchPart("b", "3", 1, 0.001)), 0.001, 0.01, 0.002
)


def count(metrics: Metrics) -> None:
    metrics.batch(MIXED)
    for status in (200, 200, 503):
        metrics.request(RequestRecord("a", "1", 2, status, 0.1, cached=status == 200))
    metrics.shadow(ShadowRecord("a", "2", 4, 3.0, 0.2))
    metrics.shadow(ShadowRecord("a", "2", 4, None, 0.2))
    metrics.write()


def values(folder: Path) -> dict[tuple[str, ...], float]:
    """By the name of a sample and its labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(prometheus(folder))
        for sample in family.samples
    }


def test_requests_rows_and_kept_answers_are_counted(tmp_path: Path) -> None:
    count(Metrics(tmp_path))
    found = values(tmp_path)
    assert found["regraft_requests_total", "a", "1", "200"] == 2
    assert found["regraft_requests_total", "a", "1", "503"] == 1
    assert found["regraft_rows_total", "a", "1"] == 4, "what was refused is not predicted"
    assert found["regraft_cached_total", "a", "1"] == 2


def test_a_histogram_has_growing_buckets_a_count_and_the_exact_sum(tmp_path: Path) -> None:
    count(Metrics(tmp_path))
    found = values(tmp_path)
    buckets = [v for k, v in found.items() if k[:3] == ("regraft_queue_seconds_bucket", "a", "1")]
    assert buckets == [0] * 8 + [1] * 5, "half a second is in the bucket that ends there"
    assert found["regraft_queue_seconds_bucket", "b", "3", "0.001"] == 1
    assert found["regraft_queue_seconds_count", "a", "1"] == 1
    assert found["regraft_request_seconds_sum", "a", "1"] == pytest.approx(0.3)


def test_a_batch_of_several_endpoints_is_one_of_each(tmp_path: Path) -> None:
    count(Metrics(tmp_path))
    found = values(tmp_path)
    for of in (("a", "1"), ("b", "3")):
        assert found["regraft_batch_rows_sum", *of] == 3
        assert found["regraft_batch_seconds_sum", *of] == pytest.approx(0.013)


def test_copies_are_counted_by_what_became_of_their_rows(tmp_path: Path) -> None:
    count(Metrics(tmp_path))
    found = values(tmp_path)
    rows = {k[3]: v for k, v in found.items() if k[0] == "regraft_shadow_rows_total"}
    assert rows == {"agreed": 3, "differed": 1, "failed": 4}


def test_replicas_are_summed_also_one_that_is_gone(tmp_path: Path) -> None:
    count(Metrics(tmp_path))
    count(Metrics(tmp_path))
    assert values(tmp_path)["regraft_requests_total", "a", "1", "200"] == 4
    assert values(tmp_path)["regraft_queue_seconds_bucket", "a", "1", "+Inf"] == 2


def test_nothing_is_told_where_nothing_was_asked(tmp_path: Path) -> None:
    assert prometheus(tmp_path) == ""
    Metrics(tmp_path).write()
    assert list(tmp_path.iterdir()) == []


def test_names_that_clients_make_up_and_labels_that_are_predicted_make_no_series(
    tmp_path: Path,
) -> None:
    """A hundred thousand, half of them of a known endpoint."""
    metrics, label = Metrics(tmp_path), "a label"
    pool: Any = SimpleNamespace(routes={"a": None}, memory=None)
    inference = Inference(pool, pool, Watchers(metrics, Statistics(tmp_path)), Caps(1, 1), "1")
    caller = anybody(None)
    for number in range(100_000):
        name = f"made-up-{number}" if number % 2 else "a"
        with inference.recorded((caller, name), name, {}) as call:
            call.told = Told(np.array([f"{label} {number}"], object), None)
    metrics.write()
    lines = [line for line in prometheus(tmp_path).splitlines() if not line.startswith("#")]
    assert len(lines) < 50
    assert label not in "".join(lines)
    assert "made-up" not in "".join(lines)
