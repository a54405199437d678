"""Where a command's work is done: in this process on a home directory, or by a server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from regraft.cli.local import LocalBackend
from regraft.client import Client
from regraft.domain import JSON, AdaptationSpec
from regraft.registry.home import Home
from regraft.settings import Settings

Show = Callable[[str, JSON], None]


class Backend(Protocol):
    """What commands need; answers are the JSON of the HTTP API."""

    def adapt(self, spec: AdaptationSpec, detach: bool, show: Show) -> JSON: ...
    def listing(self, kind: str) -> list[JSON]: ...
    def model(self, name: str, version: int | None) -> JSON: ...
    def adaptation(self, identifier: str) -> JSON: ...
    def endpoint(self, name: str) -> JSON: ...
    def promote(self, name: str, version: int) -> JSON: ...
    def roll_back(self, name: str) -> JSON: ...
    def predict(self, endpoint: str, inputs: list[Any]) -> JSON: ...


@contextmanager
def open_backend(settings: Settings) -> Iterator[Backend]:
    """The server at `settings.url`, else the one that owns the home, else this process."""
    url = settings.url or Home(settings.resolved_home).server_url()
    if url is None:
        yield LocalBackend(settings)
        return
    with Client(url) as client:
        yield client
