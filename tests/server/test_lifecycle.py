"""A server starts, stops and starts again, whatever was left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.server import REGRAFT, environment
from regraft.reconcile.environment import INSTANCE, Instance
from regraft.reconcile.haproxy_launcher import real_binary
from regraft.registry.home import Home
from tests.server.conftest import Server, copy_home
from tests.server.processes import instance_processes, wait_until

pytestmark = pytest.mark.ray


@pytest.fixture
def home(published: Home, tmp_path: Path) -> Home:
    return copy_home(published, tmp_path / "home")


@pytest.fixture
def start(home: Home) -> Iterator[Any]:
    """Starts servers on one home, always on one port; kills what is left in the end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="rg") as ray:

        def starter() -> tuple["subprocess.Popen[bytes]", str]:
            command = [*REGRAFT, "serve", "--port", str(port), "--replicas", "1"]
            env = environment(home.root, Path(ray))
            process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is None and _predicts(url), 120, "a prediction")
            return process, url

        yield starter
        for process in instance_processes(home.root):
            with contextlib.suppress(psutil.Error):
                process.kill()


def _predicts(url: str) -> bool:
    try:
        body = {"inputs": ["fine"]}
        return httpx.post(f"{url}/v2/models/tiny/predict", json=body).status_code == 200
    except httpx.HTTPError:
        return False


def test_survives_a_kill_stops_within_15_seconds_and_leaves_nothing(start: Any, home: Home) -> None:
    process, url = start()
    process.kill()
    process.wait()
    wait_until(lambda: not _predicts(url), 30, "the killed server's replicas to be gone")
    with _haproxy_left_behind(home, url):
        process, url = start()
    assert _predicts(url)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert process.wait(30) == 0
    assert time.monotonic() - begin < 15
    assert instance_processes(home.root) == []


@contextlib.contextmanager
def _haproxy_left_behind(home: Home, url: str) -> Iterator[None]:
    """The HAProxy that the kill left on the port; a like one where it has ended with its server."""
    if any("haproxy" in process.name() for process in instance_processes(home.root)):
        yield
        return
    configuration = home.root / "left.cfg"
    address = url.removeprefix("http://")
    modes = "mode http\n  timeout client 9s\n  timeout connect 9s\n  timeout server 9s"
    configuration.write_text(f"frontend f\n  {modes}\n  bind {address}\n")
    env = {**os.environ, INSTANCE: Instance(home.root, home.root, 0).id}
    left = subprocess.Popen([str(real_binary()), "-db", "-f", str(configuration)], env=env)
    time.sleep(1)
    assert left.poll() is None, "it holds the port"
    yield
    assert left.wait(5) != 0, "the new server ended it"


def test_a_second_server_on_one_home_is_refused(published: Home, server: Server) -> None:
    env = environment(published.root, Path("/tmp/unused"))
    command = [*REGRAFT, "serve", "--port", "0"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert server.url in done.stderr
