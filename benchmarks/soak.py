"""Whether a server grows, and what it leaves: `python -m benchmarks.soak`.

Ten thousand requests of every length, a tenth of which leave before they are answered, after as
many that warm it up; told is how much the replicas grew between (at most 20 MiB). Then the server
gets SIGKILL, and the next on its home is stopped as it should be: no process may be left.
"""

import argparse
import socket
import sys
import tempfile
import time
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.load import request
from benchmarks.overload import NAME, memory
from benchmarks.processes import instance_processes
from benchmarks.server import running
from benchmarks.serving import KINDS, TEXTS, publish

MOST = 20.0
"""MiB."""


def ask(address: tuple[str, int], count: int) -> int:
    """So many requests, each on a connection of its own; how many were answered with 200."""
    path, answered = f"/v2/models/{NAME}/infer", 0
    bodies = [request(address[0], path, KINDS["text"].body(text).encode()) for text in TEXTS]
    for number in range(count):
        with socket.create_connection(address, 30) as connection:
            connection.sendall(bodies[number % len(bodies)])
            if number % 10 < 9:
                response = HTTPResponse(connection)
                response.begin()
                response.read()
                answered += response.status == 200
    return answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="Kept and reused if given.")
    parser.add_argument("--requests", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home = given.home or Path(scratch) / "home"
        publish(home, KINDS["text"])
        with running(home) as (process, url):
            at = urlsplit(url)
            address = (str(at.hostname), int(at.port or 80))
            ask(address, given.requests)
            before = memory()
            answered = ask(address, given.requests)
            time.sleep(2)
            grown = memory() - before
            print(
                f"{answered} of {given.requests} answered, the others left; {before:.0f} MiB of "
                f"replicas, {grown:+.1f} MiB"
            )
            process.kill()
        with running(home):
            print(f"killed and started again: {len(instance_processes(home))} processes")
        orphans = instance_processes(home)
        print(f"stopped: {len(orphans)} processes are left")
        if grown > MOST or orphans:
            sys.exit(1)


if __name__ == "__main__":
    main()
