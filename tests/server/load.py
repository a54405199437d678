"""Load from clients that others wrote, in threads, until it is told to stop."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Send = Callable[[], int]


@dataclass
class Tally:
    """Answers by what they were; `failures` holds all that were not 200."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)


def by_http_client(url: str, path: str, body: bytes, more: Mapping[str, str] | None = None) -> Send:
    """Python's own client: headers and body go out in two sends."""
    address, headers = urlsplit(url), {"Content-Type": "application/json", **(more or {})}

    def send() -> int:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    return send


def by_curl(url: str, path: str, body: bytes) -> Send:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30"]

    def send() -> int:
        done = subprocess.run(
            [*command, "--data-binary", "@-", f"{url}{path}"], input=body, capture_output=True
        )
        return int(done.stdout or 0)

    return send


@contextmanager
def loaded(senders: list[Send], rate: float) -> Iterator[Tally]:
    """All senders together send `rate` requests a second inside; the tally is whole after."""
    tally, stop = Tally(), threading.Event()

    def work(send: Send) -> None:
        pause = len(senders) / rate
        while not stop.is_set():
            begin = time.monotonic()
            try:
                status = send()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
                tally.failures.append(repr(error))
            else:
                tally.answered += status == 200
                if status != 200:
                    tally.failures.append(str(status))
            stop.wait(max(0.0, pause - (time.monotonic() - begin)))

    threads = [threading.Thread(target=work, args=(send,)) for send in senders]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def predict_body(text: str) -> bytes:
    return json.dumps({"inputs": [text]}).encode()
