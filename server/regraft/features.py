"""Features: what a frozen backbone says of rows, computed by the blob that will serve, cached."""

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from regraft.arrays import joined_rows
from regraft.contract import Array, Arrays, Task
from regraft.registry.blobs import write_atomically

if TYPE_CHECKING:
    from torch import nn

BATCH = 32


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
    one batch. `progress` is called with the count of rows done after each batch, and may raise to
    stop.
    """
    sizes = np.array([task.size(row) for row in rows])
    order = np.argsort(sizes, kind="stable")[::-1]
    batches = _batches(order, task.largest_batch // np.maximum(sizes, 1))

    def compute(indices: Array) -> list[Array]:
        return backbone.outputs(task.encode([rows[int(i)] for i in indices]))

    parts: list[list[Array]] = []
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for indices, part in zip(batches, pool.map(compute, batches), strict=True):
                parts.append(part)
                progress(done := done + len(indices))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [_in_order(order, [part[n] for part in parts]) for n in range(len(parts[0]))]


def _batches(order: Array, fitting: Array) -> list[Array]:
    """Rows in this order, largest first, and no more at a time than fit with the largest."""
    batches, start = [], 0
    while start < len(order):
        count = min(BATCH, max(1, int(fitting[order[start]])))
        batches.append(order[start : start + count])
        start += count
    return batches


def _in_order(order: Array, parts: Sequence[Array]) -> Array:
    """All rows in their own order; shorter sequences are filled up with zeros: nothing."""
    joined = joined_rows(parts)
    result = np.empty_like(joined)
    result[order] = joined
    return result


class FeatureCache:
    """Features on disk, by the backbone, the way rows are encoded, and the rows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get(self, key: str) -> Array | None:
        path = self.directory / f"{key}.npy"
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except (FileNotFoundError, ValueError, EOFError):
            return None

    def put(self, key: str, features: Array) -> None:
        buffer = io.BytesIO()
        np.save(buffer, features, allow_pickle=False)
        write_atomically(self.directory / f"{key}.npy", buffer.getvalue())


def features_key(backbone: str, encoding: str, identities: Sequence[str]) -> str:
    """The cache key of rows of these identities through this backbone."""
    digest = hashlib.sha256(f"{backbone} {encoding} ".encode())
    for identity in identities:
        digest.update(hashlib.sha256(identity.encode()).digest())
    return digest.hexdigest()
