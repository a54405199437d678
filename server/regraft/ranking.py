"""Ranking source models before any training: how well their frozen features fit the labels."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from scipy.linalg import solve
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from regraft.contract import Array, Folds

NOISE = 1e-12
"""Powers below this part of the greatest are rounding: features come in float32."""
RATIOS = np.logspace(-10, 6, 65)
"""Where the evidence is looked at first, in parts of the greatest power. It may grow without end to
the left, for labels that the features reproduce, and to the right, where they say nothing."""
LOGIT_VARIANCE = 10.0
"""Of the probe's logits under its prior: an inverse penalty of 10 / D. Of tweets through MiniLM
(384 features) and digits through EfficientNet (40, 112, 1280) the mean accuracy is at most .02
below that of the best of .001 to .3 with 256 rows or more, .04 with 64. A fixed .01 loses .1 on 40
features, so it would rank widths."""
BLOCK = 1000
"""Rows whose similarities to all others are held at once."""


@dataclass(frozen=True)
class Measures:
    """What is known of a source model before training; more is better in each."""

    log_evidence: float
    h_score: float
    neighbour_accuracy: float
    probe_accuracy: float


def measure(features: Array, targets: Array, folds: Folds, units: Array | None = None) -> Measures:
    """All four measures of finite features [N, D] and class indices [N]; `units` [N] are the same
    for rows that belong together, which tell nothing of each other."""
    exact = np.asarray(features, float)
    return Measures(
        log_evidence(exact, targets),
        h_score(exact, targets),
        neighbour_accuracy(exact, targets, units=units),
        probe_accuracy(exact, targets, folds),
    )


def mean_ranks(measures: Sequence[Measures]) -> list[float]:
    """The mean over the measures of each one's rank: 1 is best, ties share theirs, nan is last."""
    if not measures:
        return []
    table = np.array([astuple(each) for each in measures])
    ranks = rankdata(-np.where(np.isnan(table), -np.inf, table), axis=0)
    return [float(rank) for rank in ranks.mean(1)]


@dataclass(frozen=True)
class Evidence:
    """The greatest log evidence of a column, in nats a row, with its two precisions: `alpha` of
    the weights, `beta` of the noise."""

    value: float
    alpha: float
    beta: float


def log_evidence(features: Array, targets: Array) -> float:
    """LogME: the mean log evidence of the one-hot columns of class indices [N], in nats a row.

    Source: You et al. 2021, LogME. The paper's code leaves out ½(D − k) ln α, D features of rank k,
    and is wrong where rows are fewer than features; this does not.
    """
    with threadpool_limits(1):
        found = _greatest(_profile(features, _one_hot(targets)))
    return float(np.mean([evidence.value for evidence in found]))


def class_evidence(features: Array, column: Array) -> Evidence:
    """That of one column [N], not all zeros, as a linear function of features [N, D] plus noise."""
    with threadpool_limits(1):
        return _greatest(_profile(features, column[:, None]))[0]


@dataclass(frozen=True)
class _Profile:
    """All that the evidence of columns depends on, in the basis where FFᵀ is diagonal."""

    powers: Array
    """Of FFᵀ [k], those that are not zero."""
    squares: Array
    """Of the columns' coordinates [k, C]."""
    rest: Array
    """What the columns have outside that basis [C], squared."""
    rows: int

    def weighted(self, ratios: Array) -> Array:
        """yᵀ(FFᵀ + tI)⁻¹y for ratios t [T]: [T, C]."""
        inverse = 1 / (self.powers + ratios[:, None])
        return np.asarray(inverse @ self.squares + self.rest / ratios[:, None])

    def values(self, ratios: Array) -> Array:
        """The evidence [T, C] at ratios t = α/β [T], each with the best α for it, N / `weighted`.

        Only t is left to search: the paper's iteration over α and β goes to the same place, but
        has not arrived after 5,000 steps where 300 features say nothing of 30 rows.
        """
        volume = np.log(self.powers + ratios[:, None]).sum(1)
        volume += (self.rows - len(self.powers)) * np.log(ratios)
        scale = np.log(self.weighted(ratios) / self.rows)
        return np.asarray(-(volume[:, None] / self.rows + scale + 1 + np.log(2 * np.pi)) / 2)

    def only(self, column: int) -> "_Profile":
        chosen = slice(column, column + 1)
        return _Profile(self.powers, self.squares[:, chosen], self.rest[chosen], self.rows)


def _profile(features: Array, columns: Array) -> _Profile:
    """By the smaller product of the features with themselves: a third of the time of an SVD."""
    exact = np.asarray(features, float)
    rows, size = exact.shape
    powers, basis = np.linalg.eigh(exact @ exact.T if rows < size else exact.T @ exact)
    kept = powers > NOISE * powers.max(initial=0)
    powers, basis = powers[kept], basis[:, kept]
    if rows < size:
        squares = (basis.T @ columns) ** 2
    else:
        squares = (basis.T @ (exact.T @ columns)) ** 2 / powers[:, None]
    rest = np.maximum((columns**2).sum(0) - squares.sum(0), 0)
    return _Profile(powers, squares, rest, rows)


def _greatest(profile: _Profile) -> list[Evidence]:
    """Of each column: the best of `RATIOS`, then the best between its neighbours."""
    ratios = RATIOS * (profile.powers.max() if len(profile.powers) else 1)
    best = profile.values(ratios).argmax(0)
    low, high = ratios[np.maximum(best - 1, 0)], ratios[np.minimum(best + 1, len(ratios) - 1)]
    return [_between(profile.only(n), low[n], high[n]) for n in range(len(best))]


def _between(one: _Profile, low: float, high: float) -> Evidence:
    """The greatest evidence of a profile's one column at ratios from `low` to `high`."""
    found = minimize_scalar(
        lambda log: -one.values(np.exp([log]))[0, 0],
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 1e-6, "maxiter": 50},
    )
    ratio = np.exp([found.x])
    alpha = one.rows / one.weighted(ratio)[0, 0]
    return Evidence(-float(found.fun), float(alpha), float(alpha / ratio[0]))


def h_score(features: Array, targets: Array) -> float:
    """The part of the features' variance that the classes explain, summed over directions.

    The covariance, of the features that vary, is shrunk. Source: Ibrahim et al. 2022, Newer is not
    always better.
    """
    exact = np.asarray(features, float)
    centred = (exact - exact.mean(0))[:, _varies(exact)]
    columns = _one_hot(targets)
    columns = columns / np.sqrt(columns.sum(0) * len(columns))
    if not centred.size:
        return 0.0
    with threadpool_limits(1):
        return _explained(centred, columns)


def _explained(centred: Array, columns: Array) -> float:
    """The trace of (1 − s) MᵀM Σ⁻¹, M = columnsᵀ · centred and Σ shrunk by s, by the smaller
    product: Xᵀ(XXᵀ + tI)⁻¹ is (XᵀX + tI)⁻¹Xᵀ."""
    rows, size = centred.shape
    wide = rows < size
    product = centred @ centred.T if wide else centred.T @ centred
    variance = np.trace(product) / rows
    left = columns if wide else centred.T @ columns
    right = product @ columns if wide else left
    shrinkage = _shrinkage(centred, product)
    system = product * ((1 - shrinkage) / rows)
    system.flat[:: len(system) + 1] += variance * max(shrinkage / size, NOISE)
    solution = solve(system, right, assume_a="pos", check_finite=False)
    return float((1 - shrinkage) * (left * solution).sum())


def _shrinkage(centred: Array, product: Array) -> float:
    """Of the covariance towards a multiple of the identity. Source: Ledoit & Wolf 2004."""
    rows, size = centred.shape
    norm = (product**2).sum() / rows**2 / size
    variance = np.trace(product) / rows / size
    distance = norm - variance**2
    if distance <= NOISE * norm:  # it is that multiple already, as of one feature
        return 0.0
    error = ((centred**2).sum(1) ** 2).sum() / rows**2 / size - norm / rows
    return float(min(max(error / distance, 0), 1))


def neighbour_accuracy(
    features: Array, targets: Array, neighbours: int = 5, units: Array | None = None
) -> float:
    """Leave-one-out accuracy of a vote of the nearest by cosine, those of the row's own unit left
    out; summed similarity breaks ties."""
    exact = np.asarray(features, float)
    count = min(neighbours, len(exact) - 1)
    if count < 1:
        return float("nan")
    unit = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-300)
    columns, alike = _one_hot(targets), np.arange(len(unit)) if units is None else units
    blocks = np.split(np.arange(len(unit)), range(BLOCK, len(unit), BLOCK))
    with threadpool_limits(1):
        voted = np.concatenate([_votes(unit, columns, alike, block, count) for block in blocks])
    return float((voted == columns.argmax(1)).mean())


def _votes(unit: Array, columns: Array, units: Array, block: Array, count: int) -> Array:
    """The class of each row of the block, by its nearest among those of other units."""
    similarity = unit[block] @ unit.T
    similarity[units[block][:, None] == units[None]] = -np.inf
    nearest = np.argpartition(similarity, -count, axis=1)[:, -count:]
    found = np.take_along_axis(similarity, nearest, 1)
    # All similarities together move a sum by less than one vote; who is left out has none.
    weights = np.where(np.isfinite(found), 1 + found / (count + 1), 0)
    totals = np.einsum("bk,bkc->bc", weights, columns[nearest])
    return np.asarray(totals.argmax(1))


def probe_accuracy(features: Array, targets: Array, folds: Folds) -> float:
    """Out-of-fold accuracy of a softmax regression on standardised features; nan without folds."""
    if not sum(len(held_out) for _, held_out in folds):
        return float("nan")
    with threadpool_limits(1):
        standard = _standardised(np.asarray(features, float))
        strength = LOGIT_VARIANCE / max((standard**2).sum(1).mean(), 1)
        rotated = _rotated(standard)
        right = [_right(rotated, targets, fold, strength) for fold in folds]
    return float(np.concatenate(right).mean())


def _standardised(features: Array) -> Array:
    """Columns of mean 0 and variance 1, or of zeros where they do not vary."""
    deviation = np.where(_varies(features), features.std(0), np.inf)
    return np.asarray((features - features.mean(0)) / deviation)


def _rotated(features: Array) -> Array:
    """In as many dimensions as there are rows, if those are fewer: an L2 penalty sees lengths and
    angles alone."""
    rows, size = features.shape
    if rows >= size:
        return features
    powers, basis = np.linalg.eigh(features @ features.T)
    return np.asarray(basis * np.sqrt(np.maximum(powers, 0)))


def _right(features: Array, targets: Array, fold: tuple[Array, Array], strength: float) -> Array:
    train, held_out = fold
    model = LogisticRegression(C=strength, max_iter=1000, tol=1e-3)
    model.fit(features[train], targets[train])
    return np.asarray(model.predict(features[held_out]) == targets[held_out])


def _varies(features: Array) -> Array:
    """Which columns vary by more than the rounding of float32."""
    return np.asarray(features.std(0) > 1e-6 * np.abs(features.mean(0)))


def _one_hot(targets: Array) -> Array:
    """A column [N] for each class that occurs."""
    return np.asarray(np.unique(targets)[None] == np.asarray(targets)[:, None], float)
