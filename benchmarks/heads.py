"""Many adapted models on one backbone, in one replica: `python -m benchmarks.heads`.

The endpoints are heads of MiniLM's with other weights, published as any other. Memory, rate and
tail are compared with those of one endpoint on the same server or the same home; then one more is
published while it serves.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import onnx

from benchmarks.server import served
from benchmarks.serving import KINDS, Asked, cache, publish, replicas
from regraft.contract import LinearHead
from regraft.export.head import linear_head_graph
from regraft.registry.manifest import Manifest
from regraft.registry.store import Registry

CONNECTIONS = 32
TEXT = KINDS["text"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        home = Path(folder) / "home"
        publish(home, TEXT)
        asked = Asked(home, TEXT, TEXT.lines(cache()))
        with served(home, "--replicas", "1") as url:
            asked.http(url, CONNECTIONS, given.seconds)
            alone = replicas()[0]["uss"]
        names = [add(home, number) for number in range(given.endpoints - 1)]
        with served(home, "--replicas", "1") as url:
            start = time.perf_counter()
            _wait(url, names[-1], 300)
            print(f"{given.endpoints} endpoints answer {time.perf_counter() - start:.1f} s after")
            compare(asked, url, [TEXT.name, *names], given.rounds, given.seconds)
            together = replicas()[0]["uss"]
            print(f"memory (USS): {together:.0f} MiB, of one endpoint {alone:.0f} MiB, ", end="")
            print(f"ratio {together / alone:.2f}")
            start = time.perf_counter()
            _wait(url, add(home, given.endpoints), 60)
            print(f"one more answers {time.perf_counter() - start:.2f} s after it was published")


def add(home: Path, number: int) -> str:
    """Publish the text endpoint's version with another head; its name."""
    registry = Registry(home)
    known = registry.models.version(TEXT.name)
    manifest = Manifest.load(known.manifest.sha256, registry.blobs)
    graph = onnx.load_from_string(registry.blobs.read(manifest.head.sha256)).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    noise = np.random.default_rng(number).normal(0, 0.1, arrays["weight"].shape)
    head = LinearHead((arrays["weight"] + noise).astype(np.float32), arrays["bias"])
    blob = registry.blobs.put(linear_head_graph(head))
    other = manifest.model_copy(update={"head": blob}).store(registry.blobs)
    name = f"head-{number}"
    registry.models.publish(name, other, known.summary, promote=True)
    return name


def _wait(url: str, name: str, seconds: float) -> None:
    """Until the endpoint answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        body = {"inputs": ["what a day"]}
        answer = httpx.post(f"{url}/v2/models/{name}/predict", json=body, timeout=60)
        if answer.status_code == 200:
            return
        time.sleep(0.02)
    raise RuntimeError(f"{name} did not answer: {answer.text}")


def compare(asked: Asked, url: str, names: list[str], rounds: int, seconds: float) -> None:
    """One endpoint and all of them in turn, so that both see the same machine."""
    asked.http(url, CONNECTIONS, seconds, names)
    one, many = [], []
    for _ in range(rounds):
        one.append(asked.http(url, CONNECTIONS, seconds))
        many.append(asked.http(url, CONNECTIONS, seconds, names))
    for key, word in (("rate", "requests/s"), ("p50_ms", "ms p50"), ("p99_ms", "ms p99")):
        alone, mixed = (median(found[key] for found in runs) for runs in (one, many))
        print(f"{mixed:.1f} {word} over all, {alone:.1f} of one, ratio {mixed / alone:.2f}")
    print(f"failed: {sum(found['failures'] for found in (*one, *many))}")


if __name__ == "__main__":
    main()
