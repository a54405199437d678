"""Which server a command goes to, and how long it waits for one that starts."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from regraft.cli.backend import Patience, open_backend
from regraft.cli.demo import _server
from regraft.cli.local import LocalBackend
from regraft.client import Client
from regraft.registry.home import Home
from regraft.settings import Settings


class Starting(BaseHTTPRequestHandler):
    """A server whose control plane answers from the third request on."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200 if self.asked > 2 else 404)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def starting() -> Iterator[str]:
    Starting.asked = 0
    with HTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def patience(sleep: Callable[[float], object] = lambda _: None, total: float = 60) -> Patience:
    """Time that passes in sleep only."""
    now = [0.0]

    def pass_time(seconds: float) -> None:
        now[0] += seconds
        sleep(seconds)

    return Patience(total=total, clock=lambda: now[0], sleep=pass_time)


def test_a_server_that_starts_is_awaited(
    settings: Settings, starting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(settings.resolved_home)
    with home.owned_by(starting), open_backend(settings, patience()) as backend:
        assert isinstance(backend, Client)
    assert Starting.asked == 3
    assert capsys.readouterr().err == f"waiting for the server at {starting}\n"


def test_a_server_that_goes_away_leaves_the_work_here(settings: Settings) -> None:
    with ExitStack() as owned:
        owned.enter_context(Home(settings.resolved_home).owned_by("http://127.0.0.1:1"))
        with open_backend(settings, patience(lambda _: owned.close())) as backend:
            assert isinstance(backend, LocalBackend)


def test_a_server_that_never_answers_is_asked_all_the_same(settings: Settings) -> None:
    url, slept = "http://127.0.0.1:1", []
    with (
        Home(settings.resolved_home).owned_by(url),
        open_backend(settings, patience(slept.append, total=1)) as backend,
    ):
        assert isinstance(backend, Client)
    assert sum(slept) == 1


def test_a_server_that_was_named_is_not_awaited(starting: str, tmp_path: Path) -> None:
    with open_backend(Settings(home=tmp_path, url=starting)) as backend:
        assert isinstance(backend, Client)
    assert Starting.asked == 0


def test_the_demo_asks_the_server_that_was_named(tmp_path: Path) -> None:
    with _server(Settings(home=tmp_path, url="http://127.0.0.1:1/")) as url:
        assert url == "http://127.0.0.1:1"


def test_a_command_for_a_server_loads_nothing_that_learns() -> None:
    """Which takes seconds, on every `regraft --help` too."""
    heavy = "ray torch sklearn scipy pandas onnxruntime"
    code = (
        f"import sys, regraft.cli.main; sys.exit(repr(set('{heavy}'.split()) & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stderr.strip() == "set()"
