"""More requests than can be answered: `python -m benchmarks.overload`.

The rate at saturation is measured in a closed loop; then twice as many requests arrive for a
minute, on time whatever becomes of those before. Told are the answers a second beside saturation,
how soon the others are refused and whether with Retry-After, how memory grows, and when answers are
as quick as before.
"""

import argparse
import itertools
import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.load import body_length, request
from benchmarks.server import served
from benchmarks.serving import KINDS, TEXTS, Asked, cache, publish

MOST_CONNECTIONS = 4000
NAME = "tweets"


@dataclass
class Outcome:
    """Seconds until an answer, and until a refusal; those that were neither."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    without_hint: int = 0
    failed: int = 0
    late: list[float] = field(default_factory=list)
    """By how much each request went out later than it was due (s): the load's own processor."""

    def add(self, head: bytes, seconds: float) -> None:
        if head.startswith(b"HTTP/1.1 200"):
            self.answered.append(seconds)
        elif head.startswith(b"HTTP/1.1 503"):
            self.refused.append(seconds)
            self.without_hint += b"\r\nretry-after:" not in head.lower()
        else:
            self.failed += 1


class Arrivals:
    """An open loop: each request goes out when it is due, on a connection that is idle or new."""

    def __init__(self, address: tuple[str, int], bodies: list[bytes]) -> None:
        self.address = address
        self.bodies = itertools.cycle(bodies)
        self.selector = selectors.DefaultSelector()
        self.idle: list[socket.socket] = []
        self.open = 0
        self.outcome = Outcome()

    def run(self, rate: float, seconds: float) -> Outcome:
        begin = time.perf_counter()
        sent = 0
        while (now := time.perf_counter() - begin) < seconds:
            while sent < now * rate:
                self.outcome.late.append(time.perf_counter() - begin - sent / rate)
                self._send()
                sent += 1
            self._receive(1 / rate)
        last = time.perf_counter() + 20
        while self.selector.get_map() and time.perf_counter() < last:
            self._receive(0.1)
        self.outcome.failed += len(self.selector.get_map())
        return self.outcome

    def _send(self) -> None:
        connection = self.idle.pop() if self.idle else self._connect()
        if connection is None:
            self.outcome.failed += 1
            return
        try:
            connection.sendall(next(self.bodies))
        except OSError:
            self.outcome.failed += 1
            connection.close()
            return
        self.selector.register(connection, selectors.EVENT_READ, [time.perf_counter(), b""])

    def _connect(self) -> socket.socket | None:
        if self.open >= MOST_CONNECTIONS:
            return None
        self.open += 1
        connection = socket.create_connection(self.address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _receive(self, patience: float) -> None:
        for key, _ in self.selector.select(patience):
            connection, state = key.fileobj, key.data
            assert isinstance(connection, socket.socket)
            data = connection.recv(65536)
            state[1] += data
            head, whole, body = state[1].partition(b"\r\n\r\n")
            length = body_length(head)
            if data and not (whole and len(body) >= length):
                continue
            self.selector.unregister(connection)
            if data:
                self.outcome.add(head, time.perf_counter() - state[0])
            else:
                self.outcome.failed += 1
            if data and b"\r\nconnection: close" not in head.lower():
                self.idle.append(connection)
            else:
                connection.close()
                self.open -= 1


def child(host: str, port: int, rate: float, seconds: float) -> None:
    """The load in a process of its own; prints its outcome."""
    path = f"/v2/models/{NAME}/infer"
    bodies = [request(host, path, KINDS["text"].body(text).encode()) for text in TEXTS]
    print(json.dumps(vars(Arrivals((host, port), bodies).run(rate, seconds))))


def memory() -> float:
    """MiB of all replicas of the pool (resident)."""
    found = 0
    for process in psutil.process_iter(["cmdline", "memory_info"]):
        if "ServeReplica:pool" in " ".join(process.info["cmdline"] or []):
            found += process.info["memory_info"].rss
    return found / 2**20


def recovery(asked: Asked, url: str, usual: float) -> float:
    """How long after the load until answers take at most half as long again as before it (s)."""
    begin = time.monotonic()
    while time.monotonic() - begin < 30:
        if asked.http(url, 1, 0.4)["p50_ms"] <= 1.5 * usual:
            break
    return time.monotonic() - begin


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="Kept and reused if given.")
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home = given.home or Path(scratch) / "home"
        publish(home, KINDS["text"])
        with served(home) as url:
            measure(Asked(home, KINDS["text"], KINDS["text"].lines(cache())), url, given.seconds)


def measure(asked: Asked, url: str, seconds: float) -> None:
    usual = asked.http(url, 1, 3)["p50_ms"]
    full = asked.http(url, 64, 8)["rate"]
    before = memory()
    print(f"saturation {full:.0f} requests/s; alone p50 {usual:.1f} ms; {before:.0f} MiB")
    at = urlsplit(url)
    command = [sys.executable, "-m", "benchmarks.overload", "child", str(at.hostname), str(at.port)]
    running = subprocess.Popen(
        [*command, str(2 * full), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    peak = before
    while running.poll() is None and time.sleep(1) is None:
        peak = max(peak, memory())
        if running.stdout is not None and selectors_ready(running):
            break
    outcome = json.loads(running.communicate()[0])
    took = recovery(asked, url, usual)
    refused = sorted(outcome["refused"]) or [0.0]
    good = len(outcome["answered"]) / seconds
    print(
        f"twice as many for {seconds:.0f} s: {good:.0f} answered a second, {good / full:.2f} times"
    )
    print(
        f"  {len(refused)} refused, {percentiles(refused)}, "
        f"{sum(one <= 0.1 for one in refused) / len(refused):.2%} within 100 ms; "
        f"{outcome['without_hint']} without Retry-After; {outcome['failed']} failed otherwise"
    )
    print(f"  requests went out late by {percentiles(outcome['late'])}")
    print(f"  memory {peak:.0f} MiB at most, {peak - before:+.0f}; recovered within {took:.1f} s")


def percentiles(seconds: list[float]) -> str:
    found = sorted(seconds)
    p50, p99 = (found[int(len(found) * share)] * 1e3 for share in (0.5, 0.99))
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms"


def selectors_ready(running: "subprocess.Popen[str]") -> bool:
    """Whether the load has something to tell, which would not fit into its pipe."""
    with selectors.DefaultSelector() as selector:
        assert running.stdout is not None
        selector.register(running.stdout, selectors.EVENT_READ)
        return bool(selector.select(0))


if __name__ == "__main__":
    main()
