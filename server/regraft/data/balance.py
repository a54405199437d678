"""Rows of rare classes repeated, so that every class counts alike."""

from collections.abc import Sequence

import numpy as np

from regraft.contract import Array


def balanced(labels: Sequence[str], seed: int) -> Array:
    """Positions of rows, in order, in which each class has as many as the largest: all of its rows
    as often as they fit, and some drawn by the seed. To any strategy these are class weights."""
    names = np.array(labels)
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(names == name) for name in np.unique(names)]
    most = max(map(len, classes))
    parts = [np.tile(rows, most // len(rows)) for rows in classes]
    rest = [rng.permutation(rows)[: most % len(rows)] for rows in classes]
    return np.sort(np.concatenate([*parts, *rest]))
