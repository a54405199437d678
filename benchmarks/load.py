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
    shares the processors with what it measures."""

    def __init__(
        self, requests: "itertools.cycle[bytes]", measured: Measured, begin: float
    ) -> None:
        self.requests = requests
        self.measured = measured
        self.begin = begin
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        now = time.perf_counter()
        if self.sent >= self.begin:
            self.measured.latencies.append(now - self.sent)
            self.measured.failures += not head.startswith(b"HTTP/1.1 200")
        self.buffer = b""
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


async def drive(
    host: str, port: int, requests: list[bytes], connections: int, seconds: float
) -> Measured:
    """Load for `seconds`, after a warm-up of a quarter of that."""
    measured, begin = Measured(), time.perf_counter() + seconds / 4
    loop, cycle = asyncio.get_running_loop(), itertools.cycle(requests)
    made = [
        await loop.create_connection(lambda: Connection(cycle, measured, begin), host, port)
        for _ in range(connections)
    ]
    await asyncio.sleep(begin + seconds - time.perf_counter())
    for transport, _ in made:
        transport.abort()
    return measured


def main() -> None:
    host, port, path, connections, seconds = sys.argv[1:]
    bodies = [_request(host, path, line.strip()) for line in sys.stdin.buffer if line.strip()]
    measured = asyncio.run(drive(host, int(port), bodies, int(connections), float(seconds)))
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
