"""Folds within the training part, for whatever is chosen by cross-validation."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from regraft.contract import Array, Folds
from regraft.data.units import units_of
from regraft.domain import Examples

FOLDS = 3


def make_folds(examples: Examples, seed: int, count: int = FOLDS) -> Folds:
    """`count` stratified folds that keep groups, and rows of equal input, whole.

    Rows of a class in fewer rows than folds are only ever trained on, as are those of a class that
    a fold would hold out whole. A fold that leaves one class to train on is left out.
    """
    labels = np.array(examples.labels)
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    frequent = np.flatnonzero(counts[index] >= count)
    if len(names) < 2 or len(frequent) < count:
        return ()
    units = unit_numbers(examples)
    chosen = labels[frequent], units[frequent]
    held_out = [frequent[rows] for rows in _held_out(*chosen, seed, count)]
    folds = [_fold(index, units, rows) for rows in held_out]
    return [fold for fold in folds if len(fold[1]) and len(np.unique(index[fold[0]])) > 1]


def _held_out(labels: Array, units: Array, seed: int, count: int) -> list[Array]:
    different = len(np.unique(units))
    if different < count:
        return []
    kind = StratifiedKFold if different == len(units) else StratifiedGroupKFold
    splitter = kind(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of classes in few groups, which `_fold` takes care of
        warnings.simplefilter("ignore", UserWarning)
        return [held for _, held in splitter.split(labels, labels, units)]


def unit_numbers(examples: Examples) -> Array:
    """A number a row, equal for rows that every split keeps together."""
    units = units_of(examples, sorted(set(examples.labels)))
    numbers = np.empty(len(examples), int)
    for number, rows in enumerate(units.rows):
        numbers[list(rows)] = number
    return numbers


def _fold(classes: Array, units: Array, held_out: Array) -> tuple[Array, Array]:
    rest = np.flatnonzero(~np.isin(units, units[held_out]))
    known = np.isin(classes[held_out], classes[rest])
    return rest, held_out[known]
