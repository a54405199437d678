"""Folds within the training part, for whatever is chosen by cross-validation."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from regraft.contract import Array, Folds
from regraft.domain import Examples

FOLDS = 3


def make_folds(examples: Examples, seed: int) -> Folds:
    """Three stratified folds that keep groups whole.

    Rows of a class in fewer than three rows are only ever trained on, as are those of a class that
    a fold would hold out whole. Empty if nothing could be held out.
    """
    labels = np.array(examples.labels)
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    frequent = np.flatnonzero(counts[index] >= FOLDS)
    if len(names) < 2 or len(frequent) < FOLDS:
        return ()
    units = _units(examples)
    held_out = [frequent[rows] for rows in _held_out(labels[frequent], units[frequent], seed)]
    folds = [_fold(index, units, rows) for rows in held_out]
    return [fold for fold in folds if len(fold[1])]


def _held_out(labels: Array, units: Array, seed: int) -> list[Array]:
    count = len(np.unique(units))
    if count < FOLDS:
        return []
    kind = StratifiedKFold if count == len(units) else StratifiedGroupKFold
    splitter = kind(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of classes in few groups, which `_fold` takes care of
        warnings.simplefilter("ignore", UserWarning)
        return [held for _, held in splitter.split(labels, labels, units)]


def _units(examples: Examples) -> Array:
    """A number a row, equal for rows of one group; a row without a group is one of its own."""
    groups = examples.groups or [""] * len(examples)
    names = [f"g:{group}" if group else f"r:{row}" for row, group in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1]


def _fold(classes: Array, units: Array, held_out: Array) -> tuple[Array, Array]:
    rest = np.flatnonzero(~np.isin(units, units[held_out]))
    known = np.isin(classes[held_out], classes[rest])
    return rest, held_out[known]
