"""A server whose database goes away for a minute: `python -m benchmarks.database`.

A real PostgreSQL is killed by its process ids while an endpoint is asked 20 times a second and a
change is asked for each second. Told are the predictions that failed (none may), what was said of
the changes meanwhile (503 with Retry-After), and how soon one succeeds once it is back.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.postgres import killed, started, url
from benchmarks.server import served
from benchmarks.serving import KINDS, publish

EACH_SECOND = 20
NAME = "tweets"


class Asking:
    """Predictions at a steady rate, in a thread."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.statuses: Counter[int] = Counter()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        body = {"inputs": ["what a fine day"]}
        with httpx.Client(timeout=30) as client:
            while not self.stop.wait(1 / EACH_SECOND):
                answer = client.post(f"{self.server}/v2/models/{NAME}/predict", json=body)
                self.statuses[answer.status_code] += 1


def change(server: str) -> tuple[int, str | None]:
    """The status of a promotion, and when to come back."""
    path = f"{server}/v1/endpoints/{NAME}/promote"
    answer = httpx.post(path, json={"version": 1}, timeout=30)
    return answer.status_code, answer.headers.get("retry-after")


def away(server: str, seconds: float) -> tuple[Counter[tuple[int, str | None]], float]:
    """What is said of changes for so long, and the slowest of them (s)."""
    told: Counter[tuple[int, str | None]] = Counter()
    end, slowest = time.monotonic() + seconds, 0.0
    while (begin := time.monotonic()) < end:
        told[change(server)] += 1
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(1)
    return told, slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as data,
        tempfile.TemporaryDirectory(prefix="rg") as scratch,
    ):
        folder, home = Path(data), Path(scratch) / "home"
        process = started(folder)
        os.environ["REGRAFT_DATABASE"] = url(folder)
        try:
            publish(home, KINDS["text"])
            with served(home) as server:
                asking = Asking(server)
                asking.thread.start()
                assert change(server)[0] == 200
                killed(process)
                told, slowest = away(server, given.seconds)
                process, begin = started(folder), time.monotonic()
                while change(server)[0] != 200:
                    time.sleep(0.1)
                back = time.monotonic() - begin
                asking.stop.set()
                asking.thread.join()
        finally:
            killed(process)
    print(f"predictions, by status: {dict(asking.statuses)}")
    print(f"changes while it was away: {dict(told)}, the slowest after {slowest:.1f} s")
    print(f"the first that succeeds {back:.1f} s after it is back")
    sys.exit(set(asking.statuses) != {200} or set(told) != {(503, "5")})


if __name__ == "__main__":
    main()
