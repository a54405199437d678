"""Telemetry as Ray metrics, which Ray's agent on each node offers in Prometheus form."""

import asyncio
from collections import defaultdict

from ray.util.metrics import Counter, Histogram

from regraft.serving.telemetry import BatchRecord, RequestRecord, ShadowRecord

SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]
ROWS = [1, 2, 4, 8, 16, 32, 64]
ENDPOINT = ("endpoint", "version")
EXACT = "_exact"
TELL_SECONDS = 0.5


class Total:
    """A counter that is told to Ray now and then: each time costs more than a request's share of a
    batch. For use on the event loop."""

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.counter = Counter(name, description, tag_keys)
        self.waiting: dict[tuple[tuple[str, str], ...], float] = defaultdict(float)

    def inc(self, value: float, tags: dict[str, str]) -> None:
        if not self.waiting:
            asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)
        self.waiting[tuple(tags.items())] += value

    def _tell(self) -> None:
        waiting, self.waiting = self.waiting, defaultdict(float)
        for tags, value in waiting.items():
            if value > 0:
                self.counter.inc(value, dict(tags))


class Distribution:
    """A histogram by endpoint and version. Ray estimates its sum from the buckets, so a counter
    keeps it."""

    def __init__(self, name: str, description: str, boundaries: list[float]) -> None:
        self.histogram = Histogram(name, description, boundaries, ENDPOINT)
        self.sum = Total(f"{name}{EXACT}", f"Sum of {name}.", ENDPOINT)

    def observe(self, value: float, tags: dict[str, str]) -> None:
        self.histogram.observe(value, tags)
        self.sum.inc(value, tags)


class RayMetrics:
    """Counters and distributions by endpoint and version; no text of a user's is ever a label."""

    def __init__(self) -> None:
        self.requests = Total(
            "regraft_requests", "Prediction requests answered.", (*ENDPOINT, "status")
        )
        self.rows = Total("regraft_rows", "Rows predicted.", ENDPOINT)
        self.cached = Total("regraft_cached", "Requests whose answer was kept.", ENDPOINT)
        self.duration = Distribution(
            "regraft_request_seconds", "Request to answer, in the replica.", SECONDS
        )
        self.queue = Distribution("regraft_queue_seconds", "Waiting for a batch.", SECONDS)
        self.batches = Distribution("regraft_batch_rows", "Rows of a batch.", [*map(float, ROWS)])
        self.compute = Distribution("regraft_batch_seconds", "Computing a batch.", SECONDS)

        self.copies = Distribution(
            "regraft_shadow_seconds", "Answering a copy of a request by a shadow.", SECONDS
        )
        self.shadow_rows = Total(
            "regraft_shadow_rows",
            "Rows of copies, by whether a shadow answered them alike.",
            (*ENDPOINT, "outcome"),
        )

    def batch(self, record: BatchRecord) -> None:
        only = next(iter(record.endpoints)) if len(record.endpoints) == 1 else ("several", "")
        shared = _tags(*only)
        self.batches.observe(record.rows, shared)
        self.compute.observe(record.seconds, shared)
        for part in record.parts:
            self.queue.observe(part.queued, _tags(part.name, part.version))

    def request(self, record: RequestRecord) -> None:
        tags = _tags(record.name, record.version)
        self.requests.inc(1, {**tags, "status": str(record.status)})
        self.duration.observe(record.seconds, tags)
        self.rows.inc(record.rows, tags)
        if record.cached:
            self.cached.inc(1, tags)

    def shadow(self, record: ShadowRecord) -> None:
        tags = _tags(record.name, record.version)
        self.copies.observe(record.seconds, tags)
        outcomes = {"failed": float(record.rows)}
        if record.agreed is not None:
            outcomes = {"agreed": record.agreed, "differed": record.rows - record.agreed}
        for outcome, rows in outcomes.items():
            self.shadow_rows.inc(rows, {**tags, "outcome": outcome})


def _tags(name: str, version: str) -> dict[str, str]:
    return {"endpoint": name, "version": version}
