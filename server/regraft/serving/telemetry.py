"""What a replica tells about its work."""

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
    """Receives records, from any thread."""

    def batch(self, record: BatchRecord) -> None: ...
    def request(self, record: RequestRecord) -> None: ...


class Silent:
    """Telemetry that nobody listens to."""

    def batch(self, record: BatchRecord) -> None:
        pass

    def request(self, record: RequestRecord) -> None:
        pass
