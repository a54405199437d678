"""A closed-loop HTTP client: N keep-alive connections that each wait for their answer.

Run as a process of its own: `python -m benchmarks.load HOST PORT PATH CONNECTIONS SECONDS`, with
the bodies to send, one a line, on standard input: JSON, or the length of the JSON header and the
whole body in base64. PATH may be several with commas between, asked in turn. Prints one JSON
document.
"""

import base64
import itertools
import json
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Measured:
    """How many answers came from `begin` on, and the latencies in seconds of those to what was sent
    from then on: of a rate the answers to what was sent before are a part."""

    begin: float
    answers: int = 0
    latencies: list[float] = field(default_factory=list)
    failures: int = 0

    def add(self, sent: float, answered: bool) -> None:
        now = time.perf_counter()
        if now >= self.begin:
            self.answers += answered
        if sent >= self.begin:
            self.latencies.append(now - sent)
            self.failures += not answered


class Connection:
    """Sends the next request as soon as an answer is complete. Plain sockets: the client shares the
    processors with what it measures, and its own time counts."""

    def __init__(self, address: tuple[str, int], requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent = 0.0

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.socket.sendall(next(self.requests))

    def receive(self, measured: Measured) -> bool:
        """Read what is there and go on; False once the server has closed or will close, as HAProxy
        does when it reloads."""
        data = self.socket.recv(65536)
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not data:
            measured.add(self.sent, answered=False)
            return False
        if not separator or len(body) < body_length(head):
            return True
        measured.add(self.sent, head.startswith(b"HTTP/1.1 200"))
        self.buffer = b""
        if b"\r\nconnection: close" in head.lower():
            return False
        self.send()
        return True


def body_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def request(host: str, path: str, line: bytes) -> bytes:
    kind, body = "Content-Type: application/json", line
    if not line.startswith(b"{"):
        length, encoded = line.split()
        kind, body = f"Inference-Header-Content-Length: {int(length)}", base64.b64decode(encoded)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Drive:
    """One load: who is asked, with what."""

    def __init__(self, address: tuple[str, int], requests: list[bytes]) -> None:
        self.address = address
        self.requests = itertools.cycle(requests)
        self.selector = selectors.DefaultSelector()

    def connect(self) -> None:
        connection = Connection(self.address, self.requests)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()

    def run(self, connections: int, seconds: float) -> Measured:
        """Load for `seconds`, after a warm-up of a quarter of that."""
        measured = Measured(time.perf_counter() + seconds / 4)
        for _ in range(connections):
            self.connect()
        while time.perf_counter() < measured.begin + seconds:
            for key, _ in self.selector.select(1):
                if not key.data.receive(measured):
                    self.selector.unregister(key.data.socket)
                    key.data.socket.close()
                    self.connect()
        return measured


def main() -> None:
    host, port, path, connections, seconds = sys.argv[1:]
    paths = path.split(",")
    lines = [line.strip() for line in sys.stdin.buffer if line.strip()]
    requests = [
        request(host, paths[n % len(paths)], lines[n % len(lines)])
        for n in range(max(len(paths), len(lines)))
    ]
    measured = Drive((host, int(port)), requests).run(int(connections), float(seconds))
    ordered = sorted(measured.latencies)
    print(
        json.dumps(
            {
                "rate": measured.answers / float(seconds),
                "p50_ms": 1000 * ordered[len(ordered) // 2],
                "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
                "failures": measured.failures,
            }
        )
    )


if __name__ == "__main__":
    main()
