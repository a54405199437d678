"""What frozen features tell about the data: near duplicates, suspected label errors, shift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from regraft.contract import Array

NEAR = 0.97
"""The cosine of standardised features from which two rows are near duplicates."""
CHANCE = 1e-4
"""How likely a row may be to pass for a near duplicate by chance."""
NEIGHBOURS = 10
"""To the last of which the nearest is compared: fewer known rows than that may be copies of one."""
QUARTILE = 0.25
"""Of the known rows, by whose word chance is judged: fewer than that may have near duplicates of
their own. A median would bear more, but of a few categories and a number half look like that."""
MOST_ROWS = 1000
FOLDS = 3
LEAST_UNITS = 20
"""Of either set, from which a shift is no chance: of 6 rows each 12 of 100 would look like one."""
STRENGTH = 0.01


@dataclass(frozen=True)
class Suspect:
    """A row whose label other rows speak against: its position, and the class that they suggest."""

    row: int
    suggested: int
    margin: float


def near_duplicates(known: Array, others: Array, records: bool = False) -> Array:
    """Positions in `others` [M, D] of rows that are nearly the same as one of `known` [N, D].

    Where unrelated rows are as much alike by chance, in few dimensions or as `records`, whose cells
    repeat, a row must also be nearer to its nearest than chance brings rows of `known` together.
    """
    mean, scale = known.mean(0), np.maximum(known.std(0), 1e-6)
    one, other = (_finite((rows - mean) / scale) for rows in (known, others))
    count = min(NEIGHBOURS, len(one) - 1)
    if count < 2 or not len(other):
        return np.zeros(0, int)
    # Brute force goes through both sets in blocks, so that N · M distances are never there at once;
    # a tree takes ten times as long in twelve dimensions.
    search = NearestNeighbors(n_neighbors=count + 1, algorithm="brute").fit(one)
    distances, nearest = search.kneighbors(other, count)
    near = (_unit(other) * _unit(one[nearest[:, 0]])).sum(1) >= NEAR
    some = one[:: -(-len(one) // MOST_ROWS)]
    if records or _alike_by_chance(some, len(one)):
        own = search.kneighbors(some)[0][:, 1:]  # without the row itself
        near &= _isolation(distances) <= _rare(_isolation(own), count)
    return np.flatnonzero(near)


def _alike_by_chance(some: Array, rows: int) -> bool:
    """Whether one of so many unrelated rows may well reach `NEAR`: their cosines are about normal,
    with a variance of 1 / D where features are independent."""
    unit = _unit(some)
    cosines = np.abs(unit @ unit.T)[np.triu_indices(len(unit), 1)]
    deviation = np.median(cosines) / norm.ppf(0.75)  # whatever the few pairs are that are related
    return bool(rows * norm.sf(NEAR / max(deviation, 1e-12)) > CHANCE)


def _isolation(distances: Array) -> Array:
    """The distance to the nearest, in parts of that to the farthest of a row's neighbours."""
    return np.asarray(distances[:, 0] / np.maximum(distances[:, -1], 1e-12))


def _rare(isolation: Array, count: int) -> float:
    """What as few rows as `CHANCE` fall short of, as far as known rows tell.

    To the power of the dimension, whichever it is, this has the same distribution function in every
    space and at every density: 1 − (1 − x)^(count − 1). Source: Facco et al. 2017, Estimating the
    intrinsic dimension of datasets by a minimal neighborhood information (with a count of 2).
    """
    quartile, rare = (-np.expm1(np.log1p(-x) / (count - 1)) for x in (QUARTILE, CHANCE))
    return float(np.quantile(isolation, QUARTILE) ** (np.log(rare) / np.log(quartile)))


def _finite(rows: Array) -> Array:
    """What is no number tells nothing."""
    return np.asarray(np.nan_to_num(rows, nan=0, posinf=0, neginf=0))


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


@dataclass(frozen=True)
class Side:
    """One of two sets that are told apart: its rows [N, D], and a number [N] that is the same for
    rows that belong together: whoever knows one of them knows the others."""

    rows: Array
    units: Array

    def some(self, rng: np.random.Generator) -> "Side":
        chosen = rng.permutation(len(self.rows))[:MOST_ROWS]
        return Side(self.rows[chosen], self.units[chosen])


def shift(one: Side, other: Side, seed: int) -> float | None:
    """How well a linear classifier tells the rows of two sets apart, as the area under its ROC
    curve out of fold: .5 is no shift, 1 is none in common. None where there are too few units.

    Source: Lopez-Paz & Oquab 2017, Revisiting Classifier Two-Sample Tests.
    """
    rng = np.random.default_rng(seed)
    sides = [side.some(rng) for side in (one, other)]
    numbered = [np.unique(side.units, return_inverse=True)[1] for side in sides]
    counts = [number.max(initial=-1) + 1 for number in numbered]
    if min(counts) < LEAST_UNITS:
        return None
    rows = np.concatenate([side.rows for side in sides])
    units = np.concatenate([numbered[0], numbered[1] + counts[0]])
    domains = np.repeat([0, 1], [len(side.rows) for side in sides])
    standard = (rows - rows.mean(0)) / np.maximum(rows.std(0), 1e-6)
    alone = sum(counts) == len(rows)
    kind, groups = (StratifiedKFold, None) if alone else (StratifiedGroupKFold, units)
    folds = kind(FOLDS, shuffle=True, random_state=seed)
    model = LogisticRegression(C=STRENGTH, max_iter=300)
    with threadpool_limits(1):
        told = cross_val_predict(
            model, standard, domains, groups=groups, cv=folds, method="predict_proba"
        )
    return float(roc_auc_score(domains, told[:, 1]))


def listed(numbers: Sequence[int], most: int = 10) -> str:
    """Row numbers for people."""
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most:,} more"
