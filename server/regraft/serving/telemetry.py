"""What a replica tells about its work."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from regraft.contract import Array


@dataclass(frozen=True)
class BatchPart:
    """One request's rows in a batch, and how long they waited for it (s)."""

    name: str
    version: str
    rows: int
    queued: float
    bins: Array | None = None
    """Where its rows lie beside those of the test part (`Profile.bins`), if they were looked at."""


@dataclass(frozen=True)
class BatchRecord:
    """One batch, and the time it took to encode its rows, to compute their features, and to make
    answers of them (s)."""

    parts: tuple[BatchPart, ...]
    encoding: float
    computing: float
    answering: float
    begin: float = 0.0
    """As `time.perf_counter` tells it."""
    work: int = 0
    """How much there was to compute, padding and all, in the task's own measure of a row's size."""

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def seconds(self) -> float:
        return self.encoding + self.computing + self.answering

    @property
    def endpoints(self) -> frozenset[tuple[str, str]]:
        """The names and versions of those that are in it."""
        return frozenset((part.name, part.version) for part in self.parts)


@dataclass(frozen=True)
class Told:
    """What was answered: a text (UTF-8) a row [B], and a score [B] where the task has one."""

    texts: Array
    scores: Array | None


@dataclass(frozen=True)
class RequestRecord:
    """One answered request: its rows, the status it got, the time it took (s), the id by which it
    is known, what was answered, whether that was known already (None where none is kept), and how
    long it took to look that up (s)."""

    name: str
    version: str
    rows: int
    status: int
    seconds: float
    id: str = ""
    told: Told | None = None
    cached: bool | None = None
    lookup: float = 0.0


@dataclass(frozen=True)
class ShadowRecord:
    """One copy of a request that a version was asked which is tried: how many of its rows it
    answered as the other version did, None where it failed, and the time it took to compute (s)."""

    name: str
    version: str
    rows: int
    agreed: float | None
    seconds: float


class Telemetry(Protocol):
    """Receives records, on the event loop."""

    def batch(self, record: BatchRecord) -> None: ...
    def request(self, record: RequestRecord) -> None: ...
    def shadow(self, record: ShadowRecord) -> None: ...


class Several:
    """Telemetry that tells several."""

    def __init__(self, *listeners: Telemetry) -> None:
        self.listeners = listeners

    def batch(self, record: BatchRecord) -> None:
        for listener in self.listeners:
            listener.batch(record)

    def request(self, record: RequestRecord) -> None:
        for listener in self.listeners:
            listener.request(record)

    def shadow(self, record: ShadowRecord) -> None:
        for listener in self.listeners:
            listener.shadow(record)


class Afterwards:
    """Passes records on a moment later, several at once: recording one by one costs more than a
    tenth of a millisecond of each request, of code and data that the model has driven out of the
    processor's cache. For use on the event loop."""

    def __init__(self, telemetry: Telemetry, seconds: float = 0.1) -> None:
        self.telemetry = telemetry
        self.seconds = seconds
        self.batches: list[BatchRecord] = []
        self.requests: list[RequestRecord] = []

    def batch(self, record: BatchRecord) -> None:
        self._promise()
        self.batches.append(record)

    def request(self, record: RequestRecord) -> None:
        self._promise()
        self.requests.append(record)

    def shadow(self, record: ShadowRecord) -> None:
        self.telemetry.shadow(record)

    def _promise(self) -> None:
        if not self.batches and not self.requests:
            asyncio.get_running_loop().call_later(self.seconds, self.pass_on)

    def pass_on(self) -> None:
        """What is known by now."""
        batches, requests = self.batches, self.requests
        self.batches, self.requests = [], []
        for batch in batches:
            self.telemetry.batch(batch)
        for request in requests:
            self.telemetry.request(request)


class Silent:
    """Telemetry that nobody listens to."""

    def batch(self, record: BatchRecord) -> None:
        pass

    def request(self, record: RequestRecord) -> None:
        pass

    def shadow(self, record: ShadowRecord) -> None:
        pass
