"""What the inputs of a version were like when it was judged, and where those that come now lie."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load, save

from regraft.contract import Array, Arrays

DIRECTIONS = 8
BINS = 10
ROW = "row."
MOST_ROWS = 2000
"""By which directions are chosen."""
LOOK_SECONDS = 0.02
"""One row of a version is looked at in this time: a sample, at next to no cost."""


@dataclass(frozen=True)
class Profile:
    """Of a row's pooled feature [D] a few figures are taken: where it lies along each of the S
    directions in which the rows of the validation part differ most, and how far it is from their
    mean, each column in standard deviations.

    `mean` and `scale` [D], `directions` [S, D], `edges` [S + 1, BINS - 1] between the tenths of the
    test part, and `counts` [S + 1, BINS] of it: of rows by which the directions were not chosen,
    for they alone lie there as other rows do. `rows` are some of the validation part, encoded
    [R, …], or none.
    """

    mean: Array
    scale: Array
    directions: Array
    edges: Array
    counts: Array
    rows: Arrays

    @classmethod
    def of(cls, validation: Array, test: Array, rows: Arrays) -> "Profile":
        """Of the pooled features of both parts [N, D]."""
        features = validation[:MOST_ROWS]
        mean, scale = features.mean(0), features.std(0)
        scale = np.where(scale > 1e-6 * float(scale.max(initial=0.0)), scale, 1.0)
        _, _, directions = np.linalg.svd((features - mean) / scale, full_matrices=False)
        known = (mean, scale, directions[:DIRECTIONS])
        figures = _figures(test, *known)
        edges = np.quantile(figures, np.linspace(0, 1, BINS + 1)[1:-1], axis=0).T
        counts = counted(_bins(figures, edges))
        mean, scale, directions, edges = (a.astype(np.float32) for a in (*known, edges))
        return cls(mean, scale, directions, edges, counts, rows)

    def bins(self, features: Array) -> Array:
        """Of each row in which bin each of its figures lies [B, S + 1], for features [B, D]."""
        return _bins(_figures(features, self.mean, self.scale, self.directions), self.edges)

    def dump(self) -> bytes:
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays |= {f"{ROW}{name}": array for name, array in self.rows.items()}
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return bytes(save(contiguous))

    @classmethod
    def load(cls, content: bytes) -> "Profile":
        arrays: Mapping[str, Array] = load(content)
        rows = {n.removeprefix(ROW): array for n, array in arrays.items() if n.startswith(ROW)}
        return cls(**{name: arrays[name] for name in ARRAYS}, rows=rows)


ARRAYS = ("mean", "scale", "directions", "edges", "counts")


def _figures(features: Array, mean: Array, scale: Array, directions: Array) -> Array:
    standard = (features - mean) / scale
    distance = np.sqrt(np.square(standard).mean(1, keepdims=True))
    return np.concatenate([standard @ directions.T, distance], 1)


def _bins(figures: Array, edges: Array) -> Array:
    found: Array = (figures[:, :, None] > edges[None]).sum(2)
    return found


def counted(bins: Array) -> Array:
    """How many rows are in each bin of each figure [S + 1, BINS], for bins [B, S + 1]."""
    found: Array = (bins[:, :, None] == np.arange(BINS)).sum(0)
    return found


class InputWatch:
    """Looks at a request of a version now and then. For use by one thread at a time."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.next = 0.0

    def look(self, features: Array) -> Array | None:
        """The bins of the first of these rows [1, S + 1], if it is time to look at one: rows of one
        request are seldom independent."""
        now = time.monotonic()
        if now < self.next:
            return None
        self.next = now + LOOK_SECONDS
        return self.profile.bins(features[:1])
