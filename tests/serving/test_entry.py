"""What a real HAProxy answers itself is counted, and nothing of what replicas answer."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from regraft.reconcile.haproxy_launcher import real_binary
from regraft.reconcile.ports import free_port
from regraft.serving.entry import Entry, parsed
from tests.server.processes import wait_until

pytestmark = pytest.mark.skipif(real_binary() is None, reason="no HAProxy on this platform")

CONFIGURATION = """
global
    stats socket {folder}/node/admin.sock mode 600 level admin
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 250ms
frontend http_frontend
    bind 127.0.0.1:{port}
    use_backend http-endpoint-own if {{ path_beg /own }}
    default_backend http-pool
backend http-pool
    http-request return status 503 if {{ path_beg /refused }}
    server one 127.0.0.1:{replica}
backend http-endpoint-own
    server none 127.0.0.1:1
"""


class Answers(BaseHTTPRequestHandler):
    """The path's end as the status."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[-3:]))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def replica() -> Iterator[int]:
    """The port of one that answers."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class Front:
    """An HAProxy that can be replaced by a new one, as at a reload."""

    def __init__(self, folder: Path, replica: int) -> None:
        self.folder, self.port = folder, free_port("127.0.0.1")
        (folder / "node").mkdir()
        given = {"folder": folder, "port": self.port, "replica": replica}
        (folder / "haproxy.cfg").write_text(CONFIGURATION.format(**given))
        self.start()

    def start(self) -> None:
        command = [str(real_binary()), "-db", "-f", str(self.folder / "haproxy.cfg")]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 10, "HAProxy")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/200").status_code == 200
        except httpx.HTTPError:
            return False

    def ask(self, *paths: str) -> list[int]:
        return [httpx.get(f"http://127.0.0.1:{self.port}{path}").status_code for path in paths]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def front(tmp_path: Path, replica: int) -> Iterator[Front]:
    made = Front(tmp_path, replica)
    yield made
    made.end()


def entry(front: Front, counted: list[tuple[str, int]]) -> Entry:
    path = str(front.folder / "admin.sock")
    return Entry(path, lambda endpoint, more: counted.append((endpoint, more)))


def test_refusals_and_what_no_replica_answers_are_counted_once(front: Front) -> None:
    counted: list[tuple[str, int]] = []
    looking = entry(front, counted)
    front.ask("/refused/200")
    looking.look()
    assert counted == [], "what was before is not known to be new"
    asked = ("/200", "/500", "/refused", "/refused", "/own/200")
    assert front.ask(*asked) == [200, 500, 503, 503, 503]
    looking.look()
    looking.look()
    assert counted == [("several", 2), ("own", 1)]


def test_one_replica_counts_and_another_goes_on_when_it_is_gone(front: Front) -> None:
    counted: list[tuple[str, int]] = []
    one, other = entry(front, counted), entry(front, counted)
    for looking in (one, other, one, other):
        front.ask("/refused")
        looking.look()
    assert counted == [("several", 2)]
    assert one.lock is not None
    os.close(one.lock)  # as when its process ends
    other.look()
    front.ask("/refused")
    other.look()
    assert counted == [("several", 2), ("several", 1)]


def test_a_new_process_begins_at_nought_and_one_that_is_gone_is_no_error(front: Front) -> None:
    counted: list[tuple[str, int]] = []
    looking = entry(front, counted)
    looking.look()
    front.ask("/refused", "/refused")
    looking.look()
    front.end()
    looking.look()
    front.start()
    front.ask("/refused")
    looking.look()
    assert counted == [("several", 2), ("several", 1)]


def test_one_that_is_too_busy_to_tell_is_not_counted_twice(front: Front) -> None:
    counted: list[tuple[str, int]] = []
    looking = entry(front, counted)
    looking.look()
    front.ask("/refused", "/refused")
    looking.look()
    front.process.send_signal(signal.SIGSTOP)
    looking.look()
    front.process.send_signal(signal.SIGCONT)
    front.ask("/refused")
    looking.look()
    assert counted == [("several", 2), ("several", 1)]


def test_without_an_entry_there_is_nothing_to_count(tmp_path: Path) -> None:
    for path in (None, str(tmp_path / "admin.sock")):
        Entry(path, lambda endpoint, more: pytest.fail(endpoint)).look()


def test_what_is_no_table_is_said() -> None:
    with pytest.raises(OSError, match="HAProxy tells 'Unknown command'"):
        parsed("Unknown command")
