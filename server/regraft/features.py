"""Features: what a frozen backbone says of rows, computed by the blob that will serve, cached."""

import hashlib
import math
import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from regraft.arrays import joined_rows
from regraft.contract import Array, Arrays, Task
from regraft.registry.blobs import write_with

if TYPE_CHECKING:
    from torch import nn

BATCH = 32
LARGE = 64 * 2**20
"""Bytes of features from which on they are looked at where they lie, on disk."""


class Says(Protocol):
    """What gives arrays [B, …] for an encoded batch; each has the rows in the same order."""

    def outputs(self, batch: Arrays) -> list[Array]: ...


class TorchBackbone:
    """A module in place of the graph that it would be exported to; it gives one tensor or more."""

    def __init__(self, module: "nn.Module") -> None:
        self.module = module.eval()

    def outputs(self, batch: Arrays) -> list[Array]:
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        with torch.no_grad():
            found: Any = self.module(**tensors)
        return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))]


Batches = Generator[tuple[int, list[Array]] | None, None, None]
Run = Callable[[Sequence[Any], Sequence[Array]], Batches]
"""Given rows and the positions of those of each batch: the number of each batch, in any order, and
what a backbone says of its rows, an array [B, …] for each output; None while nothing has come for a
while. Ends early when it is closed."""
Room = Callable[[int, tuple[int, ...], Any], Array]
"""An array of this shape and type for the output of this number."""


def compute_features(
    backbone: Says,
    task: Task,
    rows: Sequence[Any],
    progress: Callable[[int], None] = lambda done: None,
    threads: int = 1,
) -> list[Array]:
    """The features of each row, in order, an array for each output of the backbone; rows of like
    size go through together.

    `threads` batches are computed at a time, each by one thread: a third faster than all threads on
    one batch. `progress` is called with the count of rows done after each batch, and now and then,
    and may raise to stop.
    """
    return features_by(in_threads(backbone, task, threads), task, rows, progress)


def in_threads(backbone: Says, task: Task, threads: int) -> Run:
    """Batches computed by threads of this process."""

    def run(rows: Sequence[Any], batches: Sequence[Array]) -> Batches:
        def compute(indices: Array) -> list[Array]:
            return backbone.outputs(task.encode([rows[int(i)] for i in indices]))

        with ThreadPoolExecutor(threads) as pool:
            try:
                yield from enumerate(pool.map(compute, batches))
            finally:
                pool.shutdown(cancel_futures=True)

    return run


def in_memory(output: int, shape: tuple[int, ...], dtype: Any) -> Array:
    return np.empty(shape, dtype)


def features_by(
    run: Run,
    task: Task,
    rows: Sequence[Any],
    progress: Callable[[int], None] = lambda done: None,
    room: Room = in_memory,
) -> list[Array]:
    """The same, by whoever computes batches. Pooled features [N, D] are written to their `room` as
    they come."""
    sizes = np.array([task.size(row) for row in rows])
    order = np.argsort(sizes, kind="stable")[::-1]
    batches = _batches(order, task.largest_batch // np.maximum(sizes, 1))
    gathered, done = Gathered(len(rows), batches, room), 0
    with closing(run(rows, batches)) as found:
        for one in found:
            if one is not None:
                gathered.take(*one)
                done += len(batches[one[0]])
            progress(done)
    return gathered.arrays()


class Gathered:
    """Batches on their way to arrays with all rows in their own order."""

    def __init__(self, rows: int, batches: Sequence[Array], room: Room) -> None:
        self.rows = rows
        self.batches = batches
        self.room = room
        self.pooled: dict[int, Array] = {}
        self.parts: dict[int, dict[int, Array]] = defaultdict(dict)

    def take(self, number: int, arrays: Sequence[Array]) -> None:
        """What a batch was found to be."""
        for output, array in enumerate(arrays):
            if array.ndim != 2:
                self.parts[output][number] = array
                continue
            if output not in self.pooled:
                shape = (self.rows, array.shape[1])
                self.pooled[output] = self.room(output, shape, array.dtype)
            self.pooled[output][self.batches[number]] = array

    def arrays(self) -> list[Array]:
        """One for each output; shorter sequences are filled up with zeros: nothing."""
        joined = {output: self._joined(parts) for output, parts in self.parts.items()}
        found = {**self.pooled, **joined}
        return [found[output] for output in sorted(found)]

    def _joined(self, parts: dict[int, Array]) -> Array:
        joined = joined_rows([parts[number] for number in range(len(self.batches))])
        result = np.empty_like(joined)
        result[np.concatenate(self.batches)] = joined
        return result


def _batches(order: Array, fitting: Array) -> list[Array]:
    """Rows in this order, largest first, and no more at a time than fit with the largest."""
    batches, start = [], 0
    while start < len(order):
        count = min(BATCH, max(1, int(fitting[order[start]])))
        batches.append(order[start : start + count])
        start += count
    return batches


class FeatureCache:
    """Features on disk, by the backbone, the way rows are encoded, and the rows. Large ones stay
    there: only what is looked at comes into memory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get(self, key: str) -> Array | None:
        path = self.directory / f"{key}.npy"
        try:
            os.utime(path)  # it is needed: cleaning leaves it
            large = path.stat().st_size > LARGE
            return np.asarray(np.load(path, mmap_mode="c" if large else None, allow_pickle=False))
        except (FileNotFoundError, ValueError, EOFError):
            return None

    def put(self, key: str, features: Array) -> None:
        write_with(self.directory / f"{key}.npy", lambda file: np.save(file, features))

    @contextmanager
    def rooms(self) -> Iterator[Room]:
        """Rooms for features that are computed now: large ones are on disk from the beginning."""
        with ExitStack() as files:

            def room(output: int, shape: tuple[int, ...], dtype: Any) -> Array:
                size = math.prod(shape) * np.dtype(dtype).itemsize
                if size <= LARGE:
                    return in_memory(output, shape, dtype)
                self.directory.mkdir(parents=True, exist_ok=True)
                file = files.enter_context(TemporaryFile(dir=self.directory))
                os.posix_fallocate(file.fileno(), 0, size)  # else a full disk ended the process
                return np.memmap(file, dtype, "w+", shape=shape)

            yield room


def features_key(backbone: str, encoding: str, identities: Sequence[str]) -> str:
    """The cache key of rows of these identities through this backbone."""
    digest = hashlib.sha256(f"{backbone} {encoding} ".encode())
    for identity in identities:
        digest.update(hashlib.sha256(identity.encode()).digest())
    return digest.hexdigest()
