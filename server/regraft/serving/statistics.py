"""What the protocol's statistics count, by endpoint and version, summed over the replicas.

Each replica keeps its counts in a file of its own beside those of the others, so that any of them
can tell the sum, and that of a replica that died is not lost. Durations are in nanoseconds; source:
github.com/triton-inference-server/server, docs/protocol/extension_statistics.md.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import chain
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from regraft.serving.kept_counts import CountFile, fold, read
from regraft.serving.profile import counted
from regraft.serving.telemetry import BatchRecord, RequestRecord, ShadowRecord

SUFFIX = ".jsonl"
JSON = dict[str, Any]
Table = list[list[int]]
STEPS = ("compute_input", "compute_infer", "compute_output")
CACHE = {True: "cache_hit", False: "cache_miss"}
DURATIONS = ("success", "fail", "queue", *STEPS, *CACHE.values())
TRIAL = "trial"
"""What tells whether a version may stay: requests that broke, and copies that were compared."""
INPUTS = "inputs"
"""By day (since 1970, UTC), of the newest two: how many rows of those that were looked at lie in
each bin of each figure of its profile."""
DAY = 86400
KINDS = "kinds"
"""How long batches took, by `kind_of_batch`."""
OURS = (TRIAL, INPUTS, KINDS)
"""What the protocol does not know."""
OTHERS = (501, 503, 504)
"""Statuses that say nothing of the version: what is asked for cannot be had of it, the replica
has too much to do, or the client did not want to wait."""
LEFT = 499
"""The status of a request whose client left: neither a success nor a failure."""


class Statistics:
    """The counts of one replica; also telemetry, which feeds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = CountFile(folder, SUFFIX)
        self.counts: dict[tuple[str, str], JSON] = {}
        self.changed = False
        self.lock = Lock()

    def batch(self, record: BatchRecord) -> None:
        with self.lock:
            self._batch(record)

    def _batch(self, record: BatchRecord) -> None:
        steps = dict(zip(STEPS, (record.encoding, record.computing, record.answering), strict=True))
        for endpoint in record.endpoints:
            counts = self._of(*endpoint)
            counts["execution_count"] += 1
            size = counts["batch_stats"].setdefault(str(record.rows), _durations(STEPS))
            for step, seconds in steps.items():
                _add(size[step], seconds)
            kind = counts[KINDS].setdefault(kind_of_batch(record), _duration())
            _add(kind, record.seconds)
        for part in record.parts:
            counts = self._of(part.name, part.version)
            counts["inference_count"] += part.rows
            _add(counts["inference_stats"]["queue"], part.queued)
            for step, seconds in steps.items():
                _add(counts["inference_stats"][step], seconds)
            if part.bins is not None:
                seen = {str(int(time.time() // DAY)): counted(part.bins).tolist()}
                counts[INPUTS] = _by_day(counts[INPUTS], seen)

    def request(self, record: RequestRecord) -> None:
        if not record.version or record.status == LEFT:
            return
        outcome = "success" if record.status < 400 else "fail"
        with self.lock:
            counts = self._of(record.name, record.version)
            counts["last_inference"] = time.time_ns() // 10**6
            _add(counts["inference_stats"][outcome], record.seconds)
            if record.cached is not None:
                _add(counts["inference_stats"][CACHE[record.cached]], record.lookup)
            counts[TRIAL]["faults"] += record.status >= 500 and record.status not in OTHERS

    def shadow(self, record: ShadowRecord) -> None:
        with self.lock:
            trial = self._of(record.name, record.version)[TRIAL]
            _add(trial["copies"], record.seconds)
            if record.agreed is None:
                trial["failed"] += 1
            else:
                trial["compared"] += record.rows
                trial["agreed"] += record.agreed

    def _of(self, name: str, version: str) -> JSON:
        self.changed = True
        return self.counts.setdefault((name, version), _nothing())

    def _lines(self) -> Iterator[bytes]:
        """The counts as they are now, a line a version: of a thousand they would be megabytes."""
        with self.lock:
            known = list(self.counts.items())
        for (name, version), counts in known:
            with self.lock:
                line = _line(name, version, counts)
            yield line + b"\n"

    def write(self) -> None:
        """Leave the counts where the other replicas look, if they changed."""
        if not self.changed:
            self.file.keep()
            return
        self.changed = False
        self.file.write(self._lines())

    def total(self, loaded: Mapping[str, Iterable[str]] = MappingProxyType({})) -> list[JSON]:
        """Of all replicas, as the protocol tells them, ordered by name and version; with those that
        are loaded, also if nobody asked them yet."""
        found = self.summed()
        for name, versions in loaded.items():
            for version in versions:
                found.setdefault((name, version), _nothing())
        ordered = sorted(found.items(), key=lambda item: (item[0][0], int(item[0][1])))
        return [
            {
                "name": name,
                "version": version,
                **{key: value for key, value in counts.items() if key not in OURS},
                "batch_stats": [
                    {"batch_size": int(size), **steps}
                    for size, steps in sorted(
                        counts["batch_stats"].items(), key=lambda item: int(item[0])
                    )
                ],
            }
            for (name, version), counts in ordered
        ]

    def summed(self) -> dict[tuple[str, str], JSON]:
        """The counts of all replicas by endpoint and version, with those that the protocol does not
        know."""
        return _summed(chain(self._lines(), read(self.folder, SUFFIX, self.file.path)))


def fold_statistics(folder: Path, endpoints: Set[str], now: float | None = None) -> None:
    """Have one file of what replicas have left that are gone, of these endpoints."""

    def summed(lines: Iterable[bytes]) -> Iterator[bytes]:
        for (name, version), counts in _summed(lines).items():
            if name in endpoints:
                yield _line(name, version, counts)

    fold(folder, SUFFIX, summed, now)


def kind_of_batch(record: BatchRecord) -> str:
    """Its rows, and the power of two that its work comes to: those of one kind take about as long,
    be they long texts or short ones."""
    return f"{record.rows} {record.work.bit_length()}"


def _line(name: str, version: str, counts: JSON) -> bytes:
    return json.dumps({"name": name, "version": version, **counts}).encode()


def _summed(lines: Iterable[bytes]) -> dict[tuple[str, str], JSON]:
    found: dict[tuple[str, str], JSON] = {}
    for row in map(json.loads, lines):
        _sum(found.setdefault((row["name"], row["version"]), _nothing()), row)
    return found


def _durations(names: Iterable[str]) -> JSON:
    return {name: _duration() for name in names}


def _duration() -> JSON:
    return {"count": 0, "ns": 0}


def _nothing() -> JSON:
    return {
        "last_inference": 0,
        "inference_count": 0,
        "execution_count": 0,
        "inference_stats": _durations(DURATIONS),
        "batch_stats": {},
        INPUTS: {},
        KINDS: {},
        TRIAL: {
            **dict.fromkeys(("faults", "failed", "compared", "agreed"), 0),
            **_durations(["copies"]),
        },
    }


def _add(duration: JSON, seconds: float) -> None:
    duration["count"] += 1
    duration["ns"] += round(seconds * 1e9)


def _sum(counts: JSON, row: JSON) -> None:
    counts["last_inference"] = max(counts["last_inference"], row["last_inference"])
    for name in ("inference_count", "execution_count"):
        counts[name] += row[name]
    _sum_durations(counts["inference_stats"], row["inference_stats"])
    for name in ("faults", "failed", "compared", "agreed"):
        counts[TRIAL][name] += row[TRIAL][name]
    _sum_durations({"copies": counts[TRIAL]["copies"]}, {"copies": row[TRIAL]["copies"]})
    counts[INPUTS] = _by_day(counts[INPUTS], row[INPUTS])
    for size, steps in row["batch_stats"].items():
        _sum_durations(counts["batch_stats"].setdefault(size, _durations(STEPS)), steps)
    for kind, found in row.get(KINDS, {}).items():
        _sum_durations({kind: counts[KINDS].setdefault(kind, _duration())}, {kind: found})


def _by_day(one: dict[str, Table], other: dict[str, Table]) -> dict[str, Table]:
    """The sum of both, of the newest two days."""
    days = sorted(one.keys() | other.keys(), key=int)[-2:]
    return {day: _total(one.get(day, []), other.get(day, [])) for day in days}


def recent(by_day: dict[str, Table]) -> Table:
    """The counts of today and yesterday together, UTC."""
    today = int(time.time() // DAY)
    found: Table = []
    for day, counts in by_day.items():
        if int(day) >= today - 1:
            found = _total(found, counts)
    return found


def _total(one: Table, other: Table) -> Table:
    """The sum of two tables of counts, of which either may be empty."""
    if not one or not other:
        return one or other
    return [
        [a + b for a, b in zip(first, second, strict=True)]
        for first, second in zip(one, other, strict=True)
    ]


def _sum_durations(sums: JSON, durations: JSON) -> None:
    for name, found in durations.items():
        for key, value in found.items():
            sums[name][key] += value
