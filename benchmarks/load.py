"""A closed-loop HTTP client: N keep-alive connections that each wait for their answer.

Run as a process of its own: `python -m benchmarks.load HOST PORT PATH CONNECTIONS SECONDS`, with
the JSON bodies to send, one a line, on standard input. Prints one JSON document.
"""

import asyncio
import itertools
import json
import sys
import time
from dataclasses import dataclass, field


@dataclass
class Measured:
    """Latencies in seconds of the answers that came within the counted time."""

    latencies: list[float] = field(default_factory=list)
    failures: int = 0


class Connection(asyncio.Protocol):
    """Sends the next request as soon as an answer is complete; a raw protocol, since the client
    shares the processors with what it measures. A server that closes the connection after an
    answer, as HAProxy does when it reloads, is connected to anew."""

    def __init__(self, drive: "Drive") -> None:
        self.drive = drive
        self.buffer = b""
        self.sent = 0.0
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.drive.over:
            self.drive.measured.failures += self.waiting
            self.drive.connect()

    def _send(self) -> None:
        self.sent, self.waiting = time.perf_counter(), True
        self.transport.write(next(self.drive.requests))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        self.buffer, self.waiting = b"", False
        if self.sent >= self.drive.begin:
            self.drive.measured.latencies.append(time.perf_counter() - self.sent)
            self.drive.measured.failures += not head.startswith(b"HTTP/1.1 200")
        if b"\r\nconnection: close" in head.lower():
            self.transport.close()
        else:
            self._send()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def _request(host: str, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Drive:
    """One load: who is asked, with what, and what came of it."""

    def __init__(self, host: str, port: int, requests: list[bytes]) -> None:
        self.host = host
        self.port = port
        self.requests = itertools.cycle(requests)
        self.measured = Measured()
        self.begin = 0.0
        self.over = False
        self.tasks: set[asyncio.Task[object]] = set()

    def connect(self) -> None:
        loop = asyncio.get_running_loop()
        made = loop.create_connection(lambda: Connection(self), self.host, self.port)
        self.tasks.add(loop.create_task(made))

    async def run(self, connections: int, seconds: float) -> Measured:
        """Load for `seconds`, after a warm-up of a quarter of that."""
        self.begin = time.perf_counter() + seconds / 4
        for _ in range(connections):
            self.connect()
        await asyncio.sleep(seconds * 5 / 4)
        self.over = True
        return self.measured


def main() -> None:
    host, port, path, connections, seconds = sys.argv[1:]
    bodies = [_request(host, path, line.strip()) for line in sys.stdin.buffer if line.strip()]
    drive = Drive(host, int(port), bodies)
    measured = asyncio.run(drive.run(int(connections), float(seconds)))
    ordered = sorted(measured.latencies)
    print(
        json.dumps(
            {
                "rate": len(ordered) / float(seconds),
                "p50_ms": 1000 * ordered[len(ordered) // 2],
                "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
                "failures": measured.failures,
            }
        )
    )


if __name__ == "__main__":
    main()
