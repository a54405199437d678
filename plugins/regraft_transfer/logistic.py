"""Multinomial logistic regression in the smallest space that holds the data."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from regraft import Folds
from regraft_transfer.moments import moments

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def probe_loss(features: Any, targets: Any, folds: Folds, strengths: Any = STRENGTHS) -> float:
    """The least out-of-fold log loss of a linear probe with one of these strengths."""
    mean, scale = moments(features)
    with threadpool_limits(1):
        return float(path_losses((features - mean) * scale, targets, strengths, folds).min())


def logistic_regression(features: Any, targets: Any, strength: float) -> tuple[Any, Any]:
    """Weight [C, D] and bias [C] of the softmax regression with inverse penalty `strength`."""
    model = _regression(C=strength, tol=1e-4).fit(features, targets)
    if len(model.classes_) > 2:
        return model.coef_, model.intercept_
    half, offset = model.coef_[0] / 2, model.intercept_[0] / 2
    return np.stack([-half, half]), np.array([-offset, offset])


def path_losses(features: Any, targets: Any, strengths: Any, folds: Folds) -> Any:
    """The mean out-of-fold log loss of each strength. The L2 penalty does not see a rotation, so
    fewer rows than features are first rotated into as many dimensions as there are rows."""
    rotated = _rotate(features)
    sums = [_fold_losses(rotated, targets, fold, strengths) for fold in folds]
    return np.sum(sums, 0) / sum(len(held_out) for _, held_out in folds)


def _rotate(features: Any) -> Any:
    rows, columns = features.shape
    if rows >= columns:
        return features
    values, vectors = np.linalg.eigh(features @ features.T)
    return vectors * np.sqrt(np.maximum(values, 0))


def _fold_losses(features: Any, targets: Any, fold: Any, strengths: Any) -> Any:
    """Summed log losses on the held-out rows along the path of strengths, each a warm start."""
    train, held_out = fold
    model = _regression(tol=1e-3, warm_start=True)
    losses = []
    for strength in strengths:
        model.set_params(C=strength).fit(features[train], targets[train])
        known = model.predict_proba(features[held_out])
        rows = np.arange(len(held_out))
        chosen = known[rows, np.searchsorted(model.classes_, targets[held_out])]
        losses.append(-np.log(np.clip(chosen, 1e-12, 1)).sum())
    return np.array(losses)


def _regression(**given: Any) -> Any:
    from sklearn.linear_model import LogisticRegression  # takes a second, and few commands need it

    return LogisticRegression(max_iter=1000, **given)
