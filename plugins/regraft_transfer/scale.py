"""How far similarities are trusted: the factor that makes logits of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from regraft import Folds

SCALES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def best_scale(
    similar: Callable[[Any, Any, Any], Any],
    features: Any,
    targets: Any,
    folds: Folds,
    scales: Sequence[float] = SCALES,
) -> float:
    """The scale of the least out-of-fold log loss; the middle one without folds.

    `similar(known features, their classes from 0, features)` gives similarities [N, C].
    """
    if not folds:
        return scales[len(scales) // 2]
    losses = np.zeros(len(scales))
    for known, held_out in folds:
        classes, numbers = np.unique(targets[known], return_inverse=True)
        found = similar(features[known], numbers, features[held_out])
        right = np.searchsorted(classes, targets[held_out])
        losses += [_loss(found * scale, right) for scale in scales]
    return scales[int(losses.argmin())]


def _loss(logits: Any, targets: Any) -> float:
    top = logits.max(1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(logits - top).sum(1))
    return float((total - logits[np.arange(len(targets)), targets]).sum())
