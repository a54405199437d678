"""Rows of rare classes repeated, so that every class counts alike."""

from collections.abc import Sequence

import numpy as np

from regraft.contract import Array

MOST = 10
"""Times the rows that there are: of many classes, one of them large, there would be a thousand."""


def balanced(labels: Sequence[str], seed: int) -> Array:
    """Positions of rows, in order, in which each class has as many as the largest, or as MOST
    allows: all of its rows as often as they fit, and some drawn by the seed. To any strategy these
    are class weights."""
    names = np.array(labels)
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(names == name) for name in np.unique(names)]
    most = min(max(map(len, classes)), MOST * len(names) // len(classes))
    parts = [np.tile(rows, most // len(rows)) for rows in classes]
    rest = [rng.permutation(rows)[: most % len(rows)] for rows in classes]
    return np.sort(np.concatenate([*parts, *rest]))
