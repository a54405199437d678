"""A server starts, stops and starts again, whatever was left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.processes import instance_processes
from benchmarks.server import REGRAFT, environment
from regraft.client import Client
from regraft.domain import AdaptationSpec
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.reconcile.environment import INSTANCE, Instance
from regraft.reconcile.haproxy_launcher import real_binary
from regraft.registry.home import Home
from regraft.registry.store import Registry
from tests.server.conftest import Server, copy_home
from tests.server.load import by_http_client, loaded, predict_body
from tests.server.processes import wait_until

pytestmark = pytest.mark.ray


@pytest.fixture
def home(published: Home, tmp_path: Path) -> Home:
    return copy_home(published, tmp_path / "home")


@pytest.fixture
def key(home: Home) -> str:
    """Of an operator."""
    wanted = NewKey(name="operator", scopes=[Scope.ADMIN])
    return str(Registry(home.root).keys.create(wanted)["key"])


@pytest.fixture
def start(home: Home, key: str) -> Iterator[Any]:
    """Starts servers on one home, which ask for keys, always on one port; kills what is left in the
    end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="rg") as ray:

        def starter() -> tuple["subprocess.Popen[bytes]", str]:
            command = [*REGRAFT, "serve", "--port", str(port), "--replicas", "1"]
            env = environment(home.root, Path(ray)) | {"REGRAFT_AUTH": "true"}
            with said(home).open("ab") as told:
                process = subprocess.Popen(command, env=env, stderr=told)
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: process.poll() is None and _answers(url, key), 120, "an answer")
            return process, url

        yield starter
        for process in instance_processes(home.root):
            with contextlib.suppress(psutil.Error):
                process.kill()


def said(home: Home) -> Path:
    """What servers on this home told whoever started them."""
    return home.root.parent / "said.txt"


def _answers(url: str, key: str) -> bool:
    """Both planes: the control plane comes a moment after the pool."""
    try:
        return _predicts(url, key) and httpx.get(f"{url}/v1/health").status_code == 200
    except httpx.HTTPError:
        return False


def _predicts(url: str, key: str) -> bool:
    return _status(url, key) == 200


def _status(url: str, key: str | None) -> int:
    """Of a prediction; 0 where nobody answers."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        body = {"inputs": ["fine"]}
        return httpx.post(f"{url}/v2/models/tiny/predict", json=body, headers=headers).status_code
    except httpx.HTTPError:
        return 0


def _state(url: str, key: str, run: str) -> str:
    with Client(url, key=key) as client:
        return str(client.adaptation(run)["state"])


def _submitted(url: str, key: str, data: Path, source: Path) -> str:
    """The id of an adaptation that has begun."""
    spec = AdaptationSpec(name="later", data=str(data), source=str(source), force=True)
    with Client(url, key=key) as client:
        run = str(client.adapt(spec, True, lambda kind, data: None)["id"])
    wait_until(lambda: _state(url, key, run) == "running", 60, "the run to begin")
    return run


def _check_keys(url: str, home: Home) -> None:
    """None but health answers without a key, and one that is revoked is of no use soon after."""
    keys = Registry(home.root).keys
    made = keys.create(NewKey(name="short", scopes=[Scope.PREDICT]))
    assert _status(url, None) == 401
    assert _predicts(url, made["key"])
    for path in ("/v1/models", "/metrics", "/docs", "/openapi.json", "/v2/models/tiny"):
        assert httpx.get(f"{url}{path}").status_code == 401, path
    for path in ("/v1/health", "/v2/health/live", "/v2/health/ready"):
        assert httpx.get(f"{url}{path}").status_code == 200, path
    keys.revoke(made["id"])
    wait_until(lambda: _status(url, made["key"]) == 401, 5, "the revoked key to be refused")


def _check_stop(process: "subprocess.Popen[bytes]", url: str, key: str) -> None:
    """It is not ready from the first moment on, answers all that it took, and exits with 0."""
    headers = {"Authorization": f"Bearer {key}"}
    sender = by_http_client(url, "/v2/models/tiny/predict", predict_body("fine"), headers)
    with loaded([sender] * 6, 60) as tally:
        wait_until(lambda: tally.answered > 60, 20, "load")
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        wait_until(lambda: not _is_ready(url), 1, "no readiness")
        assert process.wait(30) == 0
        took = time.monotonic() - begin
    print(tally)
    assert took < 15
    # Whoever comes later finds nobody, or is told to come again.
    failures = Counter(failure.split("(")[0] for failure in tally.failures)
    # Whom nobody had taken yet when the port was closed.
    assert failures.pop("ConnectionResetError", 0) <= 2
    assert set(failures) <= {"ConnectionRefusedError", "503"}


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v2/health/ready", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def test_survives_a_kill_goes_on_with_its_work_stops_soon_and_leaves_nothing(
    start: Any, home: Home, key: str, reviews: Path, tiny_bert: Path
) -> None:
    process, url = start()
    _check_keys(url, home)
    run = _submitted(url, key, reviews, tiny_bert)
    process.kill()
    process.wait()
    wait_until(lambda: not _predicts(url, key), 30, "the killed server's replicas to be gone")
    with _haproxy_left_behind(home, url):
        process, url = start()
    wait_until(lambda: _state(url, key, run) not in ("submitted", "running"), 120, "its end")
    registry = Registry(home.root)
    assert registry.runs.get(run).reason is None
    assert registry.runs.get(run).interrupted == 1
    assert [version.version for version in registry.models.versions("later")] == [1]
    _check_stop(process, url, key)
    assert instance_processes(home.root) == []
    last = said(home).read_text().rpartition("starting")[2]
    assert "failed" not in last, last


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


def test_a_server_that_others_would_reach_does_not_start_without_keys(home: Home) -> None:
    env = environment(home.root, Path("/tmp/unused"))
    command = [*REGRAFT, "serve", "--port", "0", "--host", "0.0.0.0"]
    begin = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "REGRAFT_AUTH=true" in done.stderr
    assert time.monotonic() - begin < 30, "Ray was not started"
