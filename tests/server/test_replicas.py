"""What a replica is made of, and how it bears its clients."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from benchmarks.load import Drive, request
from benchmarks.processes import instance_processes, replicas
from regraft.reconcile.haproxy_launcher import MOST_ONGOING_DEFAULT
from tests.server.conftest import Server
from tests.server.load import by_http_client, loaded, predict_body
from tests.server.processes import wait_until

pytestmark = pytest.mark.ray
ABORTS = 100


def test_is_small_and_has_no_torch(server: Server) -> None:
    for process in wait_until(lambda: _loaded(server), 60, "two replicas with onnxruntime"):
        assert not any(name.startswith("libtorch") for name in _libraries(process))
        assert process.memory_full_info().uss < 400 * 2**20


def _loaded(server: Server) -> list[psutil.Process]:
    found = replicas(server.home.root)
    ready = all(any("onnxruntime" in name for name in _libraries(p)) for p in found)
    return found if len(found) == 2 and ready else []


def _libraries(process: psutil.Process) -> set[str]:
    return {Path(region.path).name for region in process.memory_maps()}


def counted(server: Server, endpoint: str, status: int) -> float:
    """Requests of an endpoint that ended so, by `/metrics`."""
    return told(server, "regraft_requests_total", f'endpoint="{endpoint}"', f'status="{status}"')


def told(server: Server, *wanted: str) -> float:
    """The sum of the samples of which `/metrics` says all of this."""
    lines = httpx.get(f"{server.url}/metrics", timeout=30).text.splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    found = [line for line in samples if all(part in line for part in wanted)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def test_answers_as_before_after_a_hundred_clients_left_mid_request(server: Server) -> None:
    """Those that left while their rows waited are given up, behind HAProxy too."""
    address = urlsplit(server.url)
    body = b'{"inputs": ["' + b"good " * 15_000 + b'"]}'
    head = f"POST /v2/models/tweets/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    for number in range(ABORTS):
        with socket.create_connection((address.hostname, address.port)) as client:
            whole = head.encode() + b"\r\n" + body
            client.sendall(whole if number % 2 else whole[: len(whole) // 2])
    for _ in range(20):
        answer = httpx.post(
            f"{server.url}/v2/models/tweets/predict", json={"inputs": ["fine"]}, timeout=30
        )
        assert answer.status_code == 200
    wait_until(lambda: counted(server, "tweets", 499) > 0, 30, "some that left in /metrics")


def test_metrics_count_those_whom_the_entry_refuses(server: Server) -> None:
    """Of more than replicas may have at a time no replica hears."""
    entry = partial(told, server, "regraft_entry_failures_total", 'endpoint="several"')
    replicas_refused = partial(counted, server, "tweets", 503)
    before = entry() + replicas_refused()
    path = "/v2/models/tweets/predict"
    line = json.dumps({"inputs": ["good " * 100]}).encode()
    address = urlsplit(server.url)
    assert address.hostname
    assert address.port
    drive = Drive((address.hostname, address.port), [request(address.hostname, path, line)])
    refused = drive.run(2 * MOST_ONGOING_DEFAULT + 100, 1).failures
    assert refused > 0
    wait_until(lambda: entry() + replicas_refused() >= before + refused, 30, "them in /metrics")
    assert entry() > 0


def test_metrics_count_requests_queue_and_batches(server: Server) -> None:
    before = counted(server, "tiny", 200)
    for _ in range(5):
        httpx.post(f"{server.url}/v2/models/tiny/predict", json={"inputs": ["fine"]}, timeout=30)
    wait_until(lambda: counted(server, "tiny", 200) >= before + 5, 30, "five more in /metrics")
    text = httpx.get(f"{server.url}/metrics", timeout=30).text
    for family in ("regraft_queue_seconds", "regraft_batch_rows", "regraft_batch_seconds"):
        assert f"# TYPE {family} histogram" in text
        assert f'{family}_sum{{endpoint="tiny",version="1"}}' in text


def test_docs_are_a_page_that_needs_no_network(server: Server) -> None:
    page = httpx.get(f"{server.url}/docs", timeout=30)
    assert page.status_code == 200
    assert "/v1/adaptations" in page.text
    assert "https://" not in page.text.replace("https://www.apache.org", "")


SLOW = 500
"""Clients that begin a request and do not end it."""


def test_slow_clients_hold_nobody_up_and_are_told_to_go(server: Server) -> None:
    """Half of them in their headers, half in their body."""
    address = urlsplit(server.url)
    head = b"POST /v2/models/tweets/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    with contextlib.ExitStack() as stack:
        slow = []
        for number in range(SLOW):
            client = socket.create_connection((address.hostname, address.port), 30)
            slow.append(stack.enter_context(client))
            client.sendall(head if number % 2 else head + b"\r\n{")
        sender = by_http_client(server.url, "/v2/models/tweets/predict", predict_body("fine"))
        with loaded([sender] * 2, 40) as tally:
            begin = time.monotonic()
            ends = [client.recv(100)[:12] for client in slow]
            took = time.monotonic() - begin
    assert set(ends) == {b"HTTP/1.1 408"}
    assert took < 20
    assert tally.failures == []
    assert tally.answered > 100


JOIN = """
import sys
import ray
from ray._raylet import GcsClient
GcsClient(sys.argv[1])
print("joined")
"""
"""What every process does first that joins."""


def test_nobody_joins_the_ray_who_has_not_its_token(server: Server, tmp_path: Path) -> None:
    """A token is code execution: none but the user who started the server can read it."""
    token = server.home.ray_token
    assert token.stat().st_mode & 0o777 == 0o600
    lines = [process.cmdline() for process in instance_processes(server.home.root)]
    address = next(
        word.partition("=")[2] for line in lines for word in line if word.startswith("--gcs-addr")
    )
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}

    def join(**more: str) -> "subprocess.CompletedProcess[str]":
        env = {**plain, "HOME": str(tmp_path), **more}
        command = [sys.executable, "-c", JOIN, address]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    assert join(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token)).stdout == "joined\n"
    for other in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
        refused = join(**other)
        assert refused.returncode != 0
        assert "AuthenticationError" in refused.stderr
