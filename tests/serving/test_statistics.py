"""Counts of the protocol's statistics: of one replica, and summed over several."""

from pathlib import Path

import numpy as np
import pytest

from regraft.serving.statistics import DAY, INPUTS, KINDS, Statistics, recent
from regraft.serving.telemetry import BatchPart, BatchRecord, RequestRecord

MIXED = BatchRecord(
    (BatchPart("a", "1", 2, 0.5), BatchPart("a", "1", 1, 0.25), BatchPart("b", "3", 1, 0.0)),
    encoding=0.001,
    computing=0.01,
    answering=0.002,
)


def count(statistics: Statistics) -> None:
    statistics.batch(MIXED)
    for status in (200, 200, 400, 499):
        statistics.request(RequestRecord("a", "1", 1, status, 0.1))
    statistics.request(RequestRecord("unknown", "", 0, 404, 0.1))


def test_a_batch_counts_for_each_endpoint_in_it(tmp_path: Path) -> None:
    statistics = Statistics(tmp_path)
    count(statistics)
    a, b = statistics.total()
    assert (a["name"], a["version"], b["name"], b["version"]) == ("a", "1", "b", "3")
    assert (a["inference_count"], a["execution_count"]) == (3, 1)
    assert (b["inference_count"], b["execution_count"]) == (1, 1)
    assert a["inference_stats"]["queue"] == {"count": 2, "ns": 750_000_000}
    assert a["inference_stats"]["compute_infer"] == {"count": 2, "ns": 20_000_000}
    assert a["inference_stats"]["success"] == {"count": 2, "ns": 200_000_000}
    assert a["inference_stats"]["fail"] == {"count": 1, "ns": 100_000_000}
    assert a["last_inference"] > 1_700_000_000_000
    (size,) = b["batch_stats"]
    assert (size["batch_size"], size["compute_input"]) == (4, {"count": 1, "ns": 1_000_000})


def test_replicas_are_summed_also_one_that_is_gone(tmp_path: Path) -> None:
    gone, asked = Statistics(tmp_path), Statistics(tmp_path)
    count(gone)
    gone.write()
    count(asked)
    a, _ = asked.total()
    assert (a["inference_count"], a["execution_count"]) == (6, 2)
    assert a["inference_stats"]["success"]["count"] == 4
    assert [size["batch_size"] for size in a["batch_stats"]] == [4]
    asked.write()
    assert asked.total()[0]["inference_count"] == 6, "its own file counts once"


def test_where_inputs_lie_is_summed_and_no_part_of_the_protocol(tmp_path: Path) -> None:
    bins = np.array([[0, 9], [0, 1]])
    part = BatchPart("a", "1", 2, 0.5, bins)
    gone, asked = Statistics(tmp_path), Statistics(tmp_path)
    for one in (gone, asked):
        one.batch(BatchRecord((part,), 0.0, 0.0, 0.0))
    gone.write()
    asked.batch(MIXED)
    first, second = recent(asked.summed()["a", "1"][INPUTS])
    assert (first[0], second[1], second[9], sum(first), sum(second)) == (4, 2, 2, 4, 4)
    assert asked.summed()["b", "3"][INPUTS] == {}
    assert INPUTS not in asked.total()[0]


def test_batches_of_long_rows_are_told_from_those_of_short_ones(tmp_path: Path) -> None:
    part, gone, asked = BatchPart("a", "1", 2, 0.5), Statistics(tmp_path), Statistics(tmp_path)
    for one, work in ((gone, 20), (asked, 24), (asked, 600)):
        one.batch(BatchRecord((part,), 0.001, 0.002, 0.003, work=work))
    gone.write()
    short, long = {"count": 2, "ns": 12_000_000}, {"count": 1, "ns": 6_000_000}
    assert asked.summed()["a", "1"][KINDS] == {"2 5": short, "2 10": long}
    assert KINDS not in asked.total()[0]


def test_inputs_of_the_newest_two_days_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [20_000.5 * DAY]
    monkeypatch.setattr("regraft.serving.statistics.time.time", lambda: clock[0])
    statistics = Statistics(tmp_path)
    seen = []
    for days in (1, 1, 2, 0):
        part = BatchPart("a", "1", 1, 0.5, np.array([[3]]))
        statistics.batch(BatchRecord((part,), 0.0, 0.0, 0.0))
        kept = statistics.summed()["a", "1"][INPUTS]
        seen.append((len(kept), sum(recent(kept)[0])))
        clock[0] += days * DAY
    assert seen == [(1, 1), (2, 2), (2, 2), (2, 1)]
    clock[0] += 2 * DAY
    assert recent(statistics.summed()["a", "1"][INPUTS]) == []


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    statistics = Statistics(tmp_path)
    statistics.write()
    assert list(tmp_path.iterdir()) == []
    count(statistics)
    statistics.write()
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    statistics.write()
    assert file.stat().st_mtime_ns == before
