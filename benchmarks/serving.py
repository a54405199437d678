"""Serving against the in-process limit, in one run: `python -m benchmarks.serving`.

The texts are eleven tokens of MiniLM's, each different, as in the figures of other servers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.server import REGRAFT, environment, served
from regraft.cli.demo_data import tweets
from regraft.settings import Settings

NAME = "tweets"
WORDS = ("happy", "sad", "great", "awful", "nice", "rough", "calm", "wild", "good", "bad")
TEXTS = [f"what a {a} day and {b} night this has been" for a in WORDS for b in WORDS if a != b]


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
            report(number + 1, in_process(home, given.seconds), over_http(home, given.seconds))


def publish(home: Path) -> None:
    """A version to serve, unless the home has one."""
    if (home / "endpoints").is_dir():
        return
    data = tweets(Settings().resolved_home / "cache")
    command = [*REGRAFT, "adapt", str(data), "--name", NAME, "--source", "minilm-l6"]
    ray = Path(tempfile.gettempdir()) / "rg-none"
    subprocess.run([*command, "--limit-rows", "400"], env=environment(home, ray), check=True)


def in_process(home: Path, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.in_process", str(home), NAME, str(seconds)]
    return _json(command, "\n".join(TEXTS))


def over_http(home: Path, seconds: float) -> dict[str, Any]:
    """The same texts through HAProxy, from another process, at 1 and 32 connections."""
    inputs = [{"name": "text", "datatype": "BYTES", "shape": [1]}]
    bodies = [json.dumps({"inputs": [{**inputs[0], "data": [text]}]}) for text in TEXTS]
    with served(home) as url:
        address = urlsplit(url)
        command = [sys.executable, "-m", "benchmarks.load", str(address.hostname)]
        command += [str(address.port), f"/v2/models/{NAME}/infer"]
        results: dict[str, Any] = {
            connections: _json([*command, connections, str(seconds)], "\n".join(bodies))
            for connections in ("1", "32")
        }
        return {**results, "replicas": replicas()}


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


def report(number: int, limit: dict[str, Any], http: dict[str, Any]) -> None:
    one, many = http["1"], http["32"]
    print(f"round {number}")
    print(f"  in process, batch 16: {limit['rate']:.0f} texts/s (sessions: {limit['rates']})")
    print(f"  in process, 1 text:   p50 {limit['p50_ms']:.2f} ms")
    print(
        f"  HTTP, 1 connection:   p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms, ", end=""
    )
    print(f"{one['p50_ms'] - limit['p50_ms']:+.2f} ms; {one['failures']} failed")
    print(f"  HTTP, 32 connections: {many['rate']:.0f} requests/s, p50 {many['p50_ms']:.1f} ms, ")
    print(f"    {many['rate'] / limit['rate']:.2f} of the limit; {many['failures']} failed")
    for replica in http["replicas"]:
        print(f"  replica: {replica['uss']:.0f} MiB USS, torch loaded: {replica['torch']}")


if __name__ == "__main__":
    main()
