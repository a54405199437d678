"""Counts of replicas that are gone become one file, and no counter falls."""

import os
import time
from pathlib import Path

import pytest

from regraft.serving import kept_counts
from regraft.serving.kept_counts import ALIVE, GONE, CountFile, fold, read
from regraft.serving.metrics import Metrics, fold_metrics, prometheus, summed
from regraft.serving.statistics import Statistics, fold_statistics
from regraft.serving.telemetry import RequestRecord

LATER = time.time() + 2 * GONE


def start(folder: Path, name: str = "a") -> tuple[Statistics, Metrics]:
    """A replica that answered a request."""
    both = Statistics(folder), Metrics(folder)
    for one in both:
        one.request(RequestRecord(name, "1", 2, 200, 0.1))
        one.write()
    return both


def counted(folder: Path) -> tuple[float, float]:
    """Requests of `a` that succeeded, by statistics and by metrics."""
    (row,) = [row for row in Statistics(folder).total() if row["name"] == "a"]
    number = summed(folder)["regraft_requests", ("a", "1", "200")][0]
    return row["inference_stats"]["success"]["count"], number


def test_files_of_replicas_that_are_gone_become_one_of_each_kind(tmp_path: Path) -> None:
    for _ in range(20):
        start(tmp_path)
    start(tmp_path, "ended")
    statistics, metrics = start(tmp_path)
    assert counted(tmp_path) == (21, 21)
    for replica in (statistics.file.path, metrics.file.path):
        os.utime(replica, (LATER, LATER))  # it lives
    for more in (0, 3):
        for _ in range(more):
            start(tmp_path)
        fold_statistics(tmp_path, {"a"}, LATER)
        fold_metrics(tmp_path, {"a"}, LATER)
        assert counted(tmp_path) == (21 + more, 21 + more)
        assert len(list(tmp_path.iterdir())) == 4
    assert "ended" not in prometheus(tmp_path)
    statistics.request(RequestRecord("a", "1", 2, 200, 0.1))
    statistics.write()
    assert counted(tmp_path) == (25, 24)


def test_nothing_is_folded_where_nobody_is_gone(tmp_path: Path) -> None:
    start(tmp_path)
    before = {*tmp_path.iterdir()}
    fold_statistics(tmp_path, {"a"})
    fold_metrics(tmp_path, {"a"})
    assert {*tmp_path.iterdir()} == before


def test_a_replica_that_has_nothing_new_says_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(kept_counts.time, "monotonic", lambda: clock[0])
    statistics, _ = start(tmp_path)
    os.utime(statistics.file.path, (1.0, 1.0))
    statistics.write()
    assert statistics.file.path.stat().st_mtime == 1
    clock[0] += ALIVE + 1
    statistics.write()
    assert time.time() - statistics.file.path.stat().st_mtime < GONE


def test_who_ends_while_it_folds_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path)

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        for folded in (fold_statistics, fold_metrics):
            with pytest.raises(KeyboardInterrupt):
                folded(tmp_path, {"a"}, LATER)
    assert counted(tmp_path) == (1, 1)
    assert len(list(tmp_path.iterdir())) == 4
    for folded in (fold_statistics, fold_metrics):
        folded(tmp_path, {"a"}, LATER)
    assert counted(tmp_path) == (1, 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_who_reads_while_another_folds_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are folded once they are listed and the sum is read."""
    for number in range(3):
        CountFile(tmp_path, ".x").write([b"%d\n" % number])
    known, pending = kept_counts._sum, [True]

    def meanwhile(folder: Path, suffix: str) -> tuple[set[str], list[bytes]]:
        found = known(folder, suffix)
        if pending.pop() if pending else False:
            fold(folder, suffix, lambda lines: lines, LATER)
        return found

    monkeypatch.setattr(kept_counts, "_sum", meanwhile)
    assert sorted(read(tmp_path, ".x")) == [b"0", b"1", b"2"]
