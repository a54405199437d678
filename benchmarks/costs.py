"""What a request costs each kind of process: `python -m benchmarks.costs`.

Processor time of a server's processes while nobody asks, and a request while 64 connections do; how
much memory each kind has; how many predictions a second the control plane takes in. docs/scaling.md
is made of these.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from uuid import uuid4

import psutil

from benchmarks.processes import instance_processes
from benchmarks.server import served
from benchmarks.serving import KINDS, Asked, cache, publish
from regraft.registry.store import Registry

KINDS_OF_PROCESS = {
    "ServeReplica:pool": "replicas",
    "haproxy": "HAProxy",
    "ServeReplica:control": "control plane",
}
REST = "Ray and its workers"
PREDICTIONS = 20_000


def _kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    return next((kind for mark, kind in KINDS_OF_PROCESS.items() if mark in line), REST)


def spent(home: Path) -> dict[str, float]:
    """Processor seconds so far, by kind."""
    found: dict[str, float] = defaultdict(float)
    for process in instance_processes(home):
        try:
            times = process.cpu_times()
            found[_kind(process)] += times.user + times.system
        except psutil.Error:
            continue
    return found


def memory(home: Path) -> dict[str, float]:
    """MiB (unique set size), by kind."""
    found: dict[str, float] = defaultdict(float)
    for process in instance_processes(home):
        try:
            found[_kind(process)] += process.memory_full_info().uss / 2**20
        except psutil.Error:
            continue
    return found


def ingested(folder: Path) -> float:
    """Predictions a second that the control plane takes into SQLite."""
    registry = Registry(folder)
    registry.models.publish("asked", registry.blobs.put(b"manifest"), {}, promote=True)
    registry.home.predictions.mkdir(parents=True, exist_ok=True)
    row = {"endpoint": "asked", "row": 0, "version": 1, "label": "fine", "score": 0.9}
    lines = [
        json.dumps({**row, "request": uuid4().hex, "time": time.time()}) for _ in range(PREDICTIONS)
    ]
    (registry.home.predictions / "1.jsonl").write_text("\n".join(lines))
    begin = time.perf_counter()
    assert registry.feedback.ingest() == PREDICTIONS
    return PREDICTIONS / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="Kept and reused if given.")
    parser.add_argument("--seconds", type=float, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home = given.home or Path(scratch) / "home"
        publish(home, KINDS["text"])
        with served(home) as url:
            asked = Asked(home, KINDS["text"], KINDS["text"].lines(cache()))
            asked.http(url, 64, 3)
            before, begin = spent(home), time.monotonic()
            time.sleep(given.seconds)
            took, after = time.monotonic() - begin, spent(home)
            idle = {kind: (after[kind] - before[kind]) / took for kind in after}
            before, begin = spent(home), time.monotonic()
            many = asked.http(url, 64, given.seconds)
            took, after = time.monotonic() - begin, spent(home)
            # The load also warms up, for a quarter of its time.
            requests = many["rate"] * given.seconds * 1.25
            print(f"{many['rate']:.0f} requests/s of 64 connections; of {psutil.cpu_count()} CPUs")
            for kind, had in sorted(memory(home).items()):
                more = (after[kind] - before[kind] - idle[kind] * took) / requests
                print(
                    f"  {kind:20} {1e3 * more:6.3f} ms a request, idle {idle[kind]:5.3f} of a CPU, "
                    f"{had:5.0f} MiB"
                )
        print(f"predictions taken in: {ingested(Path(scratch) / 'other'):.0f} a second")


if __name__ == "__main__":
    main()
