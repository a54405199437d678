"""What batches of like length are worth: `python -m benchmarks.lengths`.

The batcher with MiniLM, asked by 32 clients for texts of 5 to 400 tokens, as it is and with its
batches in order of arrival, in turn. As in real texts most are short: the logarithm of their
lengths is uniform (`--even`: the lengths are). No HTTP; rows a second in windows of one run.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.in_process import open_predictors
from benchmarks.serving import KINDS, publish
from regraft.serving.batcher import Batcher
from regraft.serving.memory import BackboneMemory
from regraft.serving.predictor import Predictor
from regraft.serving.telemetry import Silent, Telemetry
from regraft.serving.waiting import Item, Limits, Waiting

CLIENTS = 32
WORDS = ("happy", "rough", "calm", "wild", "good", "night", "day", "was", "the", "and")


class AsTheyCame(Waiting):
    """The same, but that those who came first are batched, however much they are padded."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(replace(limits, padding=float("inf")))

    def near(self, oldest: Item, group: list[Item]) -> list[Item]:
        return group


class InOrder(Batcher):
    """With such a queue."""

    def __init__(
        self, worker: Executor, limits: Limits, telemetry: Telemetry, memory: BackboneMemory
    ) -> None:
        super().__init__(worker, limits, telemetry, memory)
        self.waiting = AsTheyCame(limits)


def texts(even: bool, count: int = 400) -> list[str]:
    """Of 5 to 400 tokens; a word is one, and each text has two more."""
    rng = np.random.default_rng(0)
    sizes = rng.uniform(3, 398, count) if even else np.exp(rng.uniform(*np.log((3, 398)), count))
    return [" ".join(rng.choice(WORDS, size=int(size))) for size in sizes]


async def rate(
    batcher: Batcher, predictor: Predictor, rows: Iterator[str], seconds: float
) -> float:
    """Rows a second."""
    done, end = 0, time.perf_counter() + seconds

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await batcher.predict(predictor, [next(rows)])
            done += 1

    begin = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return done / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="Kept and reused if given.")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--even", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as scratch, ThreadPoolExecutor(1) as worker:
        home = given.home or Path(scratch) / "home"
        publish(home, KINDS["text"])
        (predictor,) = open_predictors(home, "tweets", 1)
        ratios = []
        for _ in range(given.rounds):
            found = []
            for kind in (Batcher, InOrder):
                batcher = kind(worker, Limits(), Silent(), BackboneMemory(list))
                rows = cycle(texts(given.even))
                found.append(asyncio.run(rate(batcher, predictor, rows, given.seconds)))
            ratios.append(found[0] / found[1])
            print(f"like length {found[0]:.1f} rows/s, in order {found[1]:.1f}", flush=True)
        print(f"{median(ratios):.2f} times the rate in order")


if __name__ == "__main__":
    main()
