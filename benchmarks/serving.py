"""Serving against the in-process limit, in one run: `python -m benchmarks.serving`.

The texts are eleven tokens of MiniLM's, each different, as in the figures of other servers. Images
are drawings of the image demo, sounds syllables of the speech demo, both as encoded files.
"""

import argparse
import base64
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.server import REGRAFT, environment, served
from regraft.cli.demo_data import stamps, tones, tweets
from regraft.settings import Settings

WORDS = ("happy", "sad", "great", "awful", "nice", "rough", "calm", "wild", "good", "bad")
TEXTS = [f"what a {a} day and {b} night this has been" for a in WORDS for b in WORDS if a != b]


WINDOW = 1.0
FILES = 60


@dataclass(frozen=True)
class Kind:
    """An endpoint, how it is published, and what it is asked: texts, or files in base64."""

    name: str
    tensor: str
    data: Callable[[Path], Path]
    command: tuple[str, ...]
    suffix: str = ""

    def lines(self, cache: Path) -> list[str]:
        if not self.suffix:
            return TEXTS
        files = sorted(self.data(cache).parent.rglob(f"*{self.suffix}"))
        chosen = files[:: max(1, len(files) // FILES)]
        return [base64.b64encode(path.read_bytes()).decode() for path in chosen]

    def body(self, line: str) -> str:
        """A request of the protocol as `benchmarks.load` reads it: JSON, or header and file."""
        tensor: dict[str, Any] = {"name": self.tensor, "datatype": "BYTES", "shape": [1]}
        if not self.suffix:
            return json.dumps({"inputs": [{**tensor, "data": [line]}]})
        content = base64.b64decode(line)
        size = {"binary_data_size": len(content) + 4}
        head = json.dumps({"inputs": [{**tensor, "parameters": size}]}).encode()
        body = head + struct.pack("<I", len(content)) + content
        return f"{len(head)} {base64.b64encode(body).decode()}"


KINDS = {
    "text": Kind("tweets", "text", tweets, ("--source", "minilm-l6", "--limit-rows", "400")),
    "image": Kind(
        "stamps",
        "image",
        lambda cache: stamps(cache) / "any",
        ("--source", "efficientnet-lite0", "--task", "image-classification"),
        ".png",
    ),
    "audio": Kind(
        "tones",
        "audio",
        tones,
        ("--source", "whisper-tiny-en", "--task", "audio-classification", "--limit-rows", "400"),
        ".ogg",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="All unless given.")
    parser.add_argument("--home", type=Path, default=None, help="Kept and reused if given.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        home = given.home or Path(folder) / "home"
        for kind in (KINDS[name] for name in given.kind or KINDS):
            publish(home, kind)
            for number in range(given.rounds):
                measure(home, kind, number, given.seconds)


def measure(home: Path, kind: Kind, number: int, seconds: float) -> None:
    asked = Asked(home, kind, kind.lines(cache()))
    before = asked.in_process("rate", seconds)
    with served(home) as url:
        print(f"{kind.name}, round {number + 1}")
        report_latency(asked, url, seconds)
        found = {connections: asked.http(url, connections, seconds) for connections in (32, 64)}
        report_replicas()
    after = asked.in_process("rate", seconds)
    report_rates((max(before.values()), max(after.values())), found)


def cache() -> Path:
    return Settings().resolved_home / "cache"


def publish(home: Path, kind: Kind) -> None:
    """A version to serve, unless the home has one."""
    ray = Path(tempfile.gettempdir()) / "rg-none"
    env = environment(home, ray)
    listed = subprocess.run(
        [*REGRAFT, "endpoints", "list", "--json"], env=env, stdout=subprocess.PIPE
    )
    if kind.name in [row["name"] for row in json.loads(listed.stdout)]:
        return
    data = kind.data(cache())
    folder = data.parent if data.name == "any" else data
    command = [*REGRAFT, "adapt", str(folder), "--name", kind.name, *kind.command]
    subprocess.run(command, env=env, check=True)


@dataclass(frozen=True)
class Asked:
    """An endpoint with the rows that it is asked for."""

    home: Path
    kind: Kind
    lines: list[str]

    def in_process(self, what: str, seconds: float) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.in_process", what, str(self.home)]
        return _json([*command, self.kind.name, str(seconds)], "\n".join(self.lines))

    def http(
        self, url: str, connections: int, seconds: float, names: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The same rows through HAProxy, from another process; of other endpoints if some are
        named, in turn."""
        address = urlsplit(url)
        paths = ",".join(f"/v2/models/{name}/infer" for name in names or (self.kind.name,))
        command = [sys.executable, "-m", "benchmarks.load", str(address.hostname)]
        command += [str(address.port), paths, str(connections)]
        return _json([*command, str(seconds)], "\n".join(map(self.kind.body, self.lines)))


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


def report_latency(asked: Asked, url: str, seconds: float) -> None:
    """Short windows in turn: the speed of a shared machine changes from one second to the next."""
    pairs = [
        (asked.in_process("latency", WINDOW)["p50_ms"], asked.http(url, 1, WINDOW))
        for _ in range(max(1, round(seconds / WINDOW)))
    ]
    limit = median(p50 for p50, _ in pairs)
    more = [one["p50_ms"] - p50 for p50, one in pairs]
    print(f"  1 row, in process:    p50 {limit:.2f} ms")
    print(
        f"  1 connection, HTTP:   p50 {median(one['p50_ms'] for _, one in pairs):.2f} ms, ", end=""
    )
    print(f"p99 {median(one['p99_ms'] for _, one in pairs):.2f} ms, ", end="")
    print(f"{sum(one['failures'] for _, one in pairs)} failed")
    print(
        f"    {median(more):+.2f} ms ({min(more):+.2f} to {max(more):+.2f} in {len(more)} windows)"
    )


def report_rates(limits: tuple[float, float], found: dict[int, dict[str, Any]]) -> None:
    """Against the mean of what the processors did before and after: their speed changes."""
    limit = mean(limits)
    print(f"  batch 16, in process: {limits[0]:.0f} rows/s before, {limits[1]:.0f} after")
    for connections, many in found.items():
        print(f"  {connections} connections, HTTP: {many['rate']:.0f} requests/s, ", end="")
        print(f"p50 {many['p50_ms']:.1f} ms, {many['failures']} failed")
        print(f"    {many['rate'] / limit:.2f} of the limit")


def report_replicas() -> None:
    for replica in replicas():
        print(f"  replica: {replica['uss']:.0f} MiB USS, torch loaded: {replica['torch']}")


if __name__ == "__main__":
    main()
