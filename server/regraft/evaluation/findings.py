"""What frozen features tell about the data: near duplicates, suspected label errors, shift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from regraft.contract import Array

NEAR = 0.97
"""The cosine of standardised features from which two rows are near duplicates."""
MOST_ROWS = 1000
FOLDS = 3
STRENGTH = 0.01


@dataclass(frozen=True)
class Suspect:
    """A row whose label other rows speak against: its position, and the class that they suggest."""

    row: int
    suggested: int
    margin: float


def near_duplicates(known: Array, others: Array, near: float = NEAR) -> Array:
    """Positions in `others` [M, D] of rows that are nearly the same as one of `known` [N, D]."""
    mean, scale = known.mean(0), np.maximum(known.std(0), 1e-6)
    one, other = (_unit((rows - mean) / scale) for rows in (known, others))
    return np.flatnonzero((other @ one.T).max(1) >= near)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def label_errors(probabilities: Array, targets: Array) -> list[Suspect]:
    """Rows whose out-of-fold probabilities [N, C] reach, in another class than their own, what rows
    of that class reach in the mean; the clearest first. Rows without a probability are nan.

    Source: Northcutt et al. 2021, Confident Learning.
    """
    rows = np.flatnonzero(~np.isnan(probabilities).any(1))
    known, given = probabilities[rows], targets[rows]
    classes = known.shape[1]
    own = [known[given == c, c] for c in range(classes)]
    thresholds = np.array([values.mean() if len(values) else np.inf for values in own])
    reached = np.where(known >= thresholds, known, -1)
    best = reached.argmax(1)
    suspected = (reached.max(1) > 0) & (best != given) & (known.argmax(1) != given)
    margins = known[np.arange(len(known)), best] - known[np.arange(len(known)), given]
    found = [
        Suspect(int(rows[n]), int(best[n]), float(margins[n])) for n in np.flatnonzero(suspected)
    ]
    return sorted(found, key=lambda one: -one.margin)


def shift(one: Array, other: Array, seed: int) -> float | None:
    """How well a linear classifier tells the rows of two sets apart, as the area under its ROC
    curve out of fold: .5 is no shift, 1 is none in common. None where rows are too few.

    Source: Lopez-Paz & Oquab 2017, Revisiting Classifier Two-Sample Tests.
    """
    rng = np.random.default_rng(seed)
    parts = [rows[rng.permutation(len(rows))[:MOST_ROWS]] for rows in (one, other)]
    if min(map(len, parts)) < 2 * FOLDS:
        return None
    rows = np.concatenate(parts)
    domains = np.repeat([0, 1], [len(part) for part in parts])
    standard = (rows - rows.mean(0)) / np.maximum(rows.std(0), 1e-6)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    model = LogisticRegression(C=STRENGTH, max_iter=300)
    with threadpool_limits(1):
        told = cross_val_predict(model, standard, domains, cv=folds, method="predict_proba")
    return float(roc_auc_score(domains, told[:, 1]))


def listed(numbers: Sequence[int], most: int = 10) -> str:
    """Row numbers for people."""
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most:,} more"
