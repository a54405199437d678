"""A replica that dies under load costs no request."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.processes import replicas
from tests.server.conftest import Server
from tests.server.load import by_curl, by_http_client, loaded, predict_body
from tests.server.processes import wait_until

PATH = "/v2/models/tweets/predict"
RATE = 20.0


@pytest.mark.ray
@pytest.mark.clients
def test_no_request_fails_when_a_replica_is_killed(server: Server, triton: Path) -> None:
    body = predict_body("what a day")
    senders = [by_http_client(server.url, PATH, body), by_curl(server.url, PATH, body)]
    script = Path(__file__).parent / "triton_load.py"
    command = [str(triton), str(script), server.url.removeprefix("http://"), "tweets", "12", "7"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with loaded(senders, RATE * 2 / 3) as tally:
        _kill_one(server)
    result = json.loads(client.communicate(timeout=60)[0])
    assert tally.failures == []
    assert result["failures"] == []
    assert tally.answered + result["answered"] > 100


@pytest.mark.ray
def test_no_large_request_fails_when_a_replica_is_killed(server: Server) -> None:
    body = json.dumps({"inputs": ["good " * 10_000] * 4}).encode()
    assert len(body) > 200_000
    senders = [by_http_client(server.url, PATH, body), by_curl(server.url, PATH, body)]
    with loaded(senders, 4) as tally:
        _kill_one(server)
    assert tally.failures == []
    assert tally.answered > len(senders)


def _kill_one(server: Server) -> None:
    before = wait_until(lambda: _both(server), 60, "two replicas")
    time.sleep(3)
    before[0].kill()
    wait_until(lambda: before[1] in (both := _both(server)) and len(both) == 2, 60, "a new replica")
    time.sleep(2)


def _both(server: Server) -> list:
    found = replicas(server.home.root)
    return found if len(found) == 2 else []
