"""A server whose database goes away for a minute: `python -m benchmarks.database`.

A real PostgreSQL is killed by its process ids while an endpoint is asked 20 times a second and a
change is asked for each second. Told are the predictions that failed (none may), what was said of
the changes meanwhile (503 with Retry-After), and how soon one succeeds once it is back.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.postgres import killed, started, url
from benchmarks.server import served
from benchmarks.serving import KINDS, publish
from benchmarks.steady import NAME, Load


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
            with served(home) as server, Load(server) as load:
                assert change(server)[0] == 200
                killed(process)
                told, slowest = away(server, given.seconds)
                process, begin = started(folder), time.monotonic()
                while change(server)[0] != 200:
                    time.sleep(0.1)
                back = time.monotonic() - begin
        finally:
            killed(process)
    print(f"{len(load.versions)} predictions answered, {len(load.failures)} failed")
    print(f"changes while it was away: {dict(told)}, the slowest after {slowest:.1f} s")
    print(f"the first that succeeds {back:.1f} s after it is back")
    sys.exit(bool(load.failures) or set(told) != {(503, "5")})


if __name__ == "__main__":
    main()
