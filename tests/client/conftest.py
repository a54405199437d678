"""A control plane on a real port, whose runs are scripts."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from regraft.api.app import build_app
from regraft.api.services import Services
from regraft.client import Client
from regraft.domain import AdaptationSpec, State
from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.settings import Settings

Script = Callable[[Registry, str], None]


def succeed(registry: Registry, identifier: str) -> None:
    """A run of three events."""
    registry.runs.start(identifier)
    for name in ("data", "train"):
        registry.runs.record(identifier, "stage", {"name": name})
    result = {"id": identifier, "version": 1, "endpoint": "/v2/models/tweets"}
    registry.runs.finish(identifier, State.SUCCEEDED, result=result)
    registry.runs.record(identifier, "succeeded", result)


@dataclass
class Server:
    """One server; `front` stands before the application like a proxy."""

    registry: Registry
    plugins: Plugins
    url: str = ""
    script: Script = succeed
    front: Callable[..., Any] | None = None
    threads: list[threading.Thread] = field(default_factory=list)

    def launch(self, identifier: str) -> None:
        thread = threading.Thread(target=self.script, args=(self.registry, identifier))
        self.threads.append(thread)
        thread.start()

    async def metrics(self) -> str:
        return ""

    def application(self, settings: Settings) -> Callable[..., Any]:
        app = build_app(Services(self.registry, self.plugins, settings, self.launch, self.metrics))

        async def whole(scope: Any, receive: Any, send: Any) -> None:
            if self.front is None:
                await app(scope, receive, send)
            else:
                await self.front(app, scope, receive, send)

        return whole


@pytest.fixture
def server(tmp_path: Path, plugins: Plugins) -> Iterator[Server]:
    found = Server(Registry(tmp_path / "home"), plugins)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = found.application(Settings(max_upload=2**20))
        running = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        serve = running.serve(sockets=[listening])
        thread = threading.Thread(target=asyncio.run, args=(serve,))
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield found
        running.should_exit = True
        for one in (thread, *found.threads):
            one.join(10)
            assert not one.is_alive()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as opened:
        yield opened


@pytest.fixture
def spec(tmp_path: Path) -> AdaptationSpec:
    """A spec that names a local file."""
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\na,b\n")
    return AdaptationSpec(name="tweets", source="minilm-l6", data=str(rows))


@pytest.fixture
def nowhere() -> str:
    """A URL at which nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"
