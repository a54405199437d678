"""Features: what a frozen backbone says of rows, computed by the blob that will serve, cached."""

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from regraft.contract import Array, Task
from regraft.registry.blobs import write_atomically
from regraft.serving.predictor import Backbone

BATCH = 32


def compute_features(
    backbone: Backbone,
    task: Task,
    rows: Sequence[Any],
    progress: Callable[[int], None] = lambda done: None,
    threads: int = 1,
) -> Array:
    """The feature of each row, in order; rows of like size go through together.

    `threads` batches are computed at a time, each by one thread: a third faster than all threads on
    one batch. `progress` is called with the count of rows done after each batch, and may raise to
    stop.
    """
    order = np.argsort([task.size(row) for row in rows], kind="stable")[::-1]
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

    def compute(indices: Array) -> Array:
        return backbone.features(task.encode([rows[int(i)] for i in indices]))

    parts: list[Array] = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            for part in pool.map(compute, batches):
                parts.append(part)
                progress(min(len(parts) * BATCH, len(order)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    joined = np.concatenate(parts)
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
