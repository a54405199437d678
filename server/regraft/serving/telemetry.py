"""What a replica tells about its work."""

import asyncio
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BatchRecord:
    """One batch: the endpoints in it, its rows, each request's wait and the time taken (s)."""

    names: tuple[str, ...]
    rows: int
    queued: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class RequestRecord:
    """One answered request: its rows, the status it got and the time it took (s)."""

    name: str
    version: str
    rows: int
    status: int
    seconds: float


class Telemetry(Protocol):
    """Receives records, on the event loop."""

    def batch(self, record: BatchRecord) -> None: ...
    def request(self, record: RequestRecord) -> None: ...


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

    def _promise(self) -> None:
        if not self.batches and not self.requests:
            asyncio.get_running_loop().call_later(self.seconds, self._pass_on)

    def _pass_on(self) -> None:
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
