"""Features by several processes: how much quicker two are than one, and what memory they need.

`python -m benchmarks.extraction`: texts through MiniLM by one process and by two, of one processor
each; then pictures, of which all together have four times the bytes that the object store of the
cluster may hold, through EfficientNet. Memory is told as the most that all processes had at a time
beyond what they had once the first sixteenth was through, shared pages counted once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
from PIL import Image

from benchmarks.server import environment
from benchmarks.serving import cache
from regraft.cli.demo_data import stamps, tweets
from regraft.contract import Array
from regraft.domain import Contents
from regraft.export.frozen import frozen_backbone
from regraft.features import FeatureCache, features_by
from regraft.plugins import Plugins
from regraft.registry.manifest import InputsRecord
from regraft.registry.ray_token import let_in
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft.training.extraction import Extraction

SIZE = 640
"""Pixels of a picture's sides: 1.2 MB each, not compressed."""
LEAST_SPEEDUP = 1.7


@dataclass
class Watched:
    """When rows were through, and the memory of this process and all that it started."""

    began: float = field(default_factory=time.monotonic)
    times: list[tuple[float, int]] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int) -> None:
        self.times.append((time.monotonic() - self.began, done))

    def watch(self) -> None:
        while not self.over.wait(0.5):
            self.memory.append((time.monotonic() - self.began, _memory()))

    def rate(self) -> float:
        """Rows a second from the first batch that came to the last."""
        (begin, before), (end, rows) = self.times[0], self.times[-1]
        return (rows - before) / (end - begin)

    def growth(self) -> int:
        """Bytes, from when the first sixteenth was through."""
        rows = self.times[-1][1]
        warm = next(at for at, done in self.times if done >= rows / 16)
        usual = min(size for at, size in self.memory if at >= warm)
        return max(size for at, size in self.memory if at >= warm) - usual


def _memory() -> int:
    """Of this process and its descendants, in bytes; a page that several share is one."""
    mine = psutil.Process()
    sizes = []
    for process in (mine, *mine.children(recursive=True)):
        try:
            sizes.append(process.memory_full_info().pss)
        except psutil.Error:
            continue
    return sum(sizes)


def texts(count: int) -> list[str]:
    """Tweets, each of them told apart from those before it."""
    lines = tweets(cache()).read_text().splitlines()[1:]
    return [f"{lines[n % len(lines)]} {n // len(lines)}" for n in range(count)]


def pictures(folder: Path, count: int) -> Contents:
    files = sorted((stamps(cache()) / "any").parent.rglob("*.png"))
    places = []
    for number in range(count):
        with Image.open(files[number % len(files)]) as picture:
            shown = picture.convert("RGBA").convert("RGB").resize((SIZE, SIZE)).rotate(number % 360)
        places.append(folder / f"{number}.png")
        shown.save(places[-1], compress_level=0)
    return Contents(tuple(places))


def child(given: dict[str, Any]) -> None:
    """Extract in a Ray of as many processors as there are workers; print what was seen."""
    plugins, settings = Plugins.load(), Settings()
    source = plugins.open_source(given["source"])
    task = plugins.task(given["task"])(source.inputs, ("a", "b"))
    blob = frozen_backbone(source, source.feature(task.form, None), Registry.of(settings).home).blob
    rows: Any = texts(given["rows"])
    if given["folder"]:
        rows = Contents(tuple(sorted(Path(given["folder"]).glob("*.png"))))
    workers, size = given["workers"], given["store"]
    let_in(settings)
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=size,
        _temp_dir=str(settings.ray_temp_dir),
    )
    watched = Watched()
    inputs = InputsRecord.store(task.inputs, Registry.of(settings).blobs)
    run = Extraction(blob.sha256, task.name, inputs, task.labels, settings, workers).over
    thread = threading.Thread(target=watched.watch)
    if given["folder"]:
        thread.start()
    with FeatureCache(settings.resolved_home / "cache" / "features").rooms() as room:
        (found,) = features_by(run, task, rows, watched.progress, room)
    took = time.monotonic() - watched.began
    watched.over.set()
    told = {"rate": watched.rate(), "took": took, **_sum(found)}
    if given["folder"]:
        thread.join()
        told["growth"] = watched.growth()
    ray.shutdown()
    print(json.dumps(told), flush=True)


def _sum(found: Array) -> dict[str, Any]:
    """What tells whether two runs say the same."""
    return {"shape": list(found.shape), "sum": float(np.abs(found).sum(dtype=np.float64))}


def asked(home: Path, **given: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="rg") as temp:
        command = [sys.executable, "-m", "benchmarks.extraction", "child", json.dumps(given)]
        out = subprocess.run(
            command, env=environment(home, Path(temp)), stdout=subprocess.PIPE, check=True
        ).stdout
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8_000, help="Texts.")
    parser.add_argument(
        "--store", type=int, default=256, help="MiB that the object store may hold."
    )
    given = parser.parse_args()
    store = given.store * 2**20
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home, folder = Path(scratch) / "home", Path(scratch) / "pictures"
        folder.mkdir()
        text = {"source": "minilm-l6", "task": "text-classification", "folder": "", "store": store}
        one, two = (asked(home, workers=n, rows=given.rows, **text) for n in (1, 2))
        ratio = two["rate"] / one["rate"]
        print(
            f"{given.rows} texts: one process {one['rate']:.0f} rows/s ({one['took']:.0f} s with "
            f"its start), two {two['rate']:.0f} ({two['took']:.0f} s), {ratio:.2f} times; sums "
            f"{one['sum']:.1f} and {two['sum']:.1f}",
            flush=True,
        )
        count = 4 * store // (SIZE * SIZE * 3) + 1
        held = sum(map(len, pictures(folder, count)))
        image = {"source": "efficientnet-lite0", "task": "image-classification", "rows": 0}
        seen = asked(home, workers=2, folder=str(folder), store=store, **image)
        print(
            f"{count} pictures of {held / 2**20:.0f} MiB in all, a store of {given.store} MiB: "
            f"{seen['rate']:.0f} rows/s, {seen['growth'] / 2**20:.0f} MiB more at most"
        )
    sys.exit(not (ratio >= LEAST_SPEEDUP and seen["growth"] < store))


if __name__ == "__main__":
    main()
