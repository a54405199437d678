"""Metrics of replicas: each keeps its own in a file beside those of the others, from which anybody
can tell the sum of all in Prometheus form. One that is gone leaves its file, so that no counter
ever falls."""

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from threading import Lock

from regraft.serving.kept_counts import CountFile, fold, read
from regraft.serving.telemetry import BatchRecord, RequestRecord, ShadowRecord

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
ENDPOINT = ("endpoint", "version")
SUFFIX = ".metrics"
SEVERAL = "several"
NOBODYS = (SEVERAL, "unknown")
"""What stands in an endpoint's place for what is of several, and for a name that there is not."""

Key = tuple[str, tuple[str, ...]]
"""A family, and the values of its labels."""


@dataclass(frozen=True)
class Family:
    """What is counted; a histogram where there are `bounds`, the greatest values of its buckets."""

    help: str
    labels: tuple[str, ...] = ENDPOINT
    bounds: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Numbers of a series: one, or one a bucket, the unbounded one, and the sum."""
        return len(self.bounds) + 2 if self.bounds else 1


FAMILIES = {
    "regraft_requests": Family("Prediction requests answered.", (*ENDPOINT, "status")),
    "regraft_rows": Family("Rows predicted."),
    "regraft_cached": Family("Requests whose answer was kept."),
    "regraft_request_seconds": Family("Request to answer, in the replica.", bounds=SECONDS),
    "regraft_queue_seconds": Family("Waiting for a batch.", bounds=SECONDS),
    "regraft_batch_rows": Family("Rows of a batch, of each endpoint in it.", bounds=ROWS),
    "regraft_batch_seconds": Family("Computing a batch, of each endpoint in it.", bounds=SECONDS),
    "regraft_shadow_seconds": Family("Computing a copy of a request by a shadow.", bounds=SECONDS),
    "regraft_shadow_rows": Family(
        "Rows of copies, by whether a shadow answered them alike.", (*ENDPOINT, "outcome")
    ),
    "regraft_entry_failures": Family(
        "Requests that the entry refused, or that no replica answered.", ("endpoint",)
    ),
}


class Metrics:
    """Telemetry of one replica; no text of a user's is ever a label."""

    def __init__(self, folder: Path) -> None:
        self.file = CountFile(folder, SUFFIX)
        self.series: dict[Key, array[float]] = {}
        self.changed = False
        self.lock = Lock()

    def batch(self, record: BatchRecord) -> None:
        with self.lock:
            for of in record.endpoints:
                self._observe("regraft_batch_rows", of, record.rows)
                self._observe("regraft_batch_seconds", of, record.seconds)
            for part in record.parts:
                self._observe("regraft_queue_seconds", (part.name, part.version), part.queued)

    def request(self, record: RequestRecord) -> None:
        of = (record.name, record.version)
        with self.lock:
            self._count("regraft_requests", (*of, str(record.status)), 1)
            self._count("regraft_rows", of, record.rows if record.status < 400 else 0)
            self._observe("regraft_request_seconds", of, record.seconds)
            if record.cached:
                self._count("regraft_cached", of, 1)

    def shadow(self, record: ShadowRecord) -> None:
        of = (record.name, record.version)
        outcomes: dict[str, float] = {"failed": record.rows}
        if record.agreed is not None:
            outcomes = {"agreed": record.agreed, "differed": record.rows - record.agreed}
        with self.lock:
            self._observe("regraft_shadow_seconds", of, record.seconds)
            for outcome, rows in outcomes.items():
                self._count("regraft_shadow_rows", (*of, outcome), rows)

    def entry(self, endpoint: str, failures: int) -> None:
        with self.lock:
            self._count("regraft_entry_failures", (endpoint,), failures)

    def _count(self, family: str, labels: tuple[str, ...], value: float) -> None:
        if value:
            self._of(family, labels)[0] += value

    def _observe(self, family: str, labels: tuple[str, ...], value: float) -> None:
        found = self._of(family, labels)
        found[bisect_left(FAMILIES[family].bounds, value)] += 1
        found[-1] += value

    def _of(self, family: str, labels: tuple[str, ...]) -> "array[float]":
        self.changed = True
        found = self.series.get((family, labels))
        if found is None:
            found = array("d", bytes(8 * FAMILIES[family].width))
            self.series[family, labels] = found
        return found

    def write(self) -> None:
        """Leave the numbers where they are looked for, if they changed."""
        if not self.changed:
            self.file.keep()
            return
        self.changed = False
        self.file.write(self._lines())

    def _lines(self) -> Iterator[bytes]:
        with self.lock:
            known = list(self.series.items())
        for (family, labels), numbers in known:
            yield _line((family, labels), numbers.tolist()) + b"\n"


def summed(folder: Path) -> dict[Key, list[float]]:
    """The numbers of all replicas that there are, or were since the server started."""
    return _summed(read(folder, SUFFIX))


def fold_metrics(folder: Path, endpoints: Set[str], now: float | None = None) -> None:
    """Have one file of what replicas have left that are gone, of these endpoints and of none."""
    kept = {*endpoints, *NOBODYS}

    def lines(given: Iterable[bytes]) -> Iterator[bytes]:
        for key, numbers in _summed(given).items():
            if key[1][0] in kept:
                yield _line(key, numbers)

    fold(folder, SUFFIX, lines, now)


def _line(key: Key, numbers: list[float]) -> bytes:
    return json.dumps([*key, numbers]).encode()


def _summed(lines: Iterable[bytes]) -> dict[Key, list[float]]:
    found: dict[Key, list[float]] = {}
    for line in lines:
        family, labels, numbers = json.loads(line)
        key = (family, tuple(labels))
        known = found.get(key)
        found[key] = numbers if known is None else _total(known, numbers)
    return found


def _total(one: list[float], other: list[float]) -> list[float]:
    return [a + b for a, b in zip(one, other, strict=True)]


def prometheus(folder: Path) -> str:
    """The sum of all replicas as Prometheus text."""
    families: dict[str, dict[tuple[str, ...], list[float]]] = {}
    for (name, labels), numbers in sorted(summed(folder).items()):
        families.setdefault(name, {})[labels] = numbers
    return "".join(f"{line}\n" for name, series in families.items() for line in _text(name, series))


def _text(name: str, series: dict[tuple[str, ...], list[float]]) -> Iterable[str]:
    """The head of a counter bears the name of its samples, in this format unlike in OpenMetrics."""
    family = FAMILIES[name]
    kind, shown = ("histogram", name) if family.bounds else ("counter", f"{name}_total")
    yield f"# HELP {shown} {family.help}"
    yield f"# TYPE {shown} {kind}"
    for values, numbers in series.items():
        labels = ",".join(f'{k}="{v}"' for k, v in zip(family.labels, values, strict=True))
        if family.bounds:
            yield from _buckets(name, labels, family.bounds, numbers)
        else:
            yield f"{shown}{{{labels}}} {numbers[0]:.12g}"


def _buckets(
    name: str, labels: str, bounds: tuple[float, ...], numbers: list[float]
) -> Iterable[str]:
    ends = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    for end, count in zip(ends, accumulate(numbers[:-1]), strict=True):
        yield f'{name}_bucket{{{labels},le="{end}"}} {count:.12g}'
    yield f"{name}_sum{{{labels}}} {numbers[-1]:.12g}"
    yield f"{name}_count{{{labels}}} {sum(numbers[:-1]):.12g}"
