"""Serving against the in-process limit, in one run: `python -m benchmarks.serving`.

The texts are eleven tokens of MiniLM's, each different, as in the figures of other servers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.server import REGRAFT, environment, served
from regraft.cli.demo_data import tweets
from regraft.settings import Settings

NAME = "tweets"
WORDS = ("happy", "sad", "great", "awful", "nice", "rough", "calm", "wild", "good", "bad")
TEXTS = [f"what a {a} day and {b} night this has been" for a in WORDS for b in WORDS if a != b]


WINDOW = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--home", type=Path, default=None, help="Kept and reused if given.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        home = given.home or Path(folder) / "home"
        publish(home)
        for number in range(given.rounds):
            rates = in_process("rate", home, given.seconds)
            with served(home) as url:
                print(f"round {number + 1}")
                report_latency(home, url, given.seconds)
                report_rate(rates, http(url, 32, given.seconds))
                report_replicas()


def publish(home: Path) -> None:
    """A version to serve, unless the home has one."""
    if (home / "endpoints").is_dir():
        return
    data = tweets(Settings().resolved_home / "cache")
    command = [*REGRAFT, "adapt", str(data), "--name", NAME, "--source", "minilm-l6"]
    ray = Path(tempfile.gettempdir()) / "rg-none"
    subprocess.run([*command, "--limit-rows", "400"], env=environment(home, ray), check=True)


def in_process(what: str, home: Path, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.in_process", what, str(home), NAME, str(seconds)]
    return _json(command, "\n".join(TEXTS))


def http(url: str, connections: int, seconds: float) -> dict[str, Any]:
    """The same texts through HAProxy, from another process."""
    inputs = [{"name": "text", "datatype": "BYTES", "shape": [1]}]
    bodies = [json.dumps({"inputs": [{**inputs[0], "data": [text]}]}) for text in TEXTS]
    address = urlsplit(url)
    command = [sys.executable, "-m", "benchmarks.load", str(address.hostname), str(address.port)]
    command += [f"/v2/models/{NAME}/infer", str(connections), str(seconds)]
    return _json(command, "\n".join(bodies))


def replicas() -> list[dict[str, Any]]:
    """Memory (unique set size, MiB) of the pool's replicas, and whether torch is loaded in them."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if "ServeReplica:pool" in " ".join(process.info["cmdline"] or []):
            maps = {Path(region.path).name for region in process.memory_maps()}
            torch = any(name.startswith("libtorch") for name in maps)
            found.append({"uss": process.memory_full_info().uss / 2**20, "torch": torch})
    return found


def _json(command: list[str], stdin: str) -> dict[str, Any]:
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, text=True, check=True)
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def report_latency(home: Path, url: str, seconds: float) -> None:
    """Short windows in turn: the speed of a shared machine changes from one second to the next."""
    pairs = [
        (in_process("latency", home, WINDOW)["p50_ms"], http(url, 1, WINDOW))
        for _ in range(max(1, round(seconds / WINDOW)))
    ]
    limit = median(p50 for p50, _ in pairs)
    more = [one["p50_ms"] - p50 for p50, one in pairs]
    print(f"  1 text, in process:   p50 {limit:.2f} ms")
    print(
        f"  1 connection, HTTP:   p50 {median(one['p50_ms'] for _, one in pairs):.2f} ms, ", end=""
    )
    print(f"p99 {median(one['p99_ms'] for _, one in pairs):.2f} ms, ", end="")
    print(f"{sum(one['failures'] for _, one in pairs)} failed")
    print(
        f"    {median(more):+.2f} ms ({min(more):+.2f} to {max(more):+.2f} in {len(more)} windows)"
    )


def report_rate(rates: dict[str, float], many: dict[str, Any]) -> None:
    limit = max(rates.values())
    print(f"  batch 16, in process: {limit:.0f} texts/s (sessions: {rates})")
    print(
        f"  32 connections, HTTP: {many['rate']:.0f} requests/s, p50 {many['p50_ms']:.1f} ms, ",
        end="",
    )
    print(f"{many['failures']} failed")
    print(f"    {many['rate'] / limit:.2f} of the limit")


def report_replicas() -> None:
    for replica in replicas():
        print(f"  replica: {replica['uss']:.0f} MiB USS, torch loaded: {replica['torch']}")


if __name__ == "__main__":
    main()
