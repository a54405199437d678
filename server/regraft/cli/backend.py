"""Where a command's work is done: in this process on a home directory, or by a server."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from regraft.cli.output import stderr
from regraft.client import Client, RemoteError, UnreachableError
from regraft.domain import JSON, AdaptationSpec, Mode, Placement
from regraft.registry.home import Home
from regraft.settings import Settings

Show = Callable[[str, JSON], None]


class Backend(Protocol):
    """What commands need; answers are the JSON of the HTTP API."""

    def adapt(self, spec: AdaptationSpec, detach: bool, show: Show) -> JSON: ...
    def listing(self, kind: str) -> list[JSON]: ...
    def source(self, reference: str) -> JSON: ...
    def model(self, name: str, version: int | None) -> JSON: ...
    def delete_version(self, name: str, version: int) -> None: ...
    def dataset(self, identifier: str) -> JSON: ...
    def delete_dataset(self, identifier: str) -> None: ...
    def adaptation(self, identifier: str) -> JSON: ...
    def cancel(self, identifier: str) -> JSON: ...
    def endpoint(self, name: str) -> JSON: ...
    def promote(self, name: str, version: int, force: bool) -> JSON: ...
    def roll_back(self, name: str) -> JSON: ...
    def try_out(self, name: str, version: int, mode: Mode, share: float, force: bool) -> JSON: ...
    def place(self, name: str, wanted: Placement) -> JSON: ...
    def end_endpoint(self, name: str) -> None: ...
    def history(self, name: str) -> list[JSON]: ...
    def live(self, name: str) -> list[JSON]: ...
    def predict(self, endpoint: str, inputs: list[Any]) -> JSON: ...


@dataclass(frozen=True)
class Patience:
    """How long a server that starts is awaited, and how often it is asked, in seconds."""

    total: float = 60.0
    pause: float = 0.25
    answer: float = 5.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@contextmanager
def open_backend(settings: Settings, patience: Patience | None = None) -> Iterator[Backend]:
    """The server at `settings.url`, else the one that owns the home, else this process."""
    url = settings.url or _awaited(Home(settings.resolved_home), patience or Patience())
    if url is None:
        # All that learns and judges: seconds of imports, of which a client needs none.
        from regraft.cli.local import LocalBackend

        yield LocalBackend(settings)
        return
    with Client(url) as client:
        yield client


def _awaited(home: Home, patience: Patience) -> str | None:
    """The URL of the home's server once it answers, or when patience ends; None if it is gone.

    A server owns its home before it listens, and until it has ended.
    """
    deadline, told = patience.clock() + patience.total, False
    while (url := home.server_url()) is not None:
        if _answers(url, patience.answer) or patience.clock() >= deadline:
            return url
        if not told:
            stderr().print(f"waiting for the server at {url}", soft_wrap=True)
            told = True
        patience.sleep(patience.pause)
    return None


def _answers(url: str, timeout: float) -> bool:
    with Client(url, timeout) as client:
        try:
            client.connection.ask("GET", "/v1/health")
        except (RemoteError, UnreachableError):
            return False
    return True
