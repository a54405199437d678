"""What can be had of a table without a pretrained model: gradient-boosted trees."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier

from regraft_tabular.columns import Row, encode, learn_columns, size_of

ROUNDS, TREES = 100, 2000
"""Of boosting, and trees at most, of which each round takes one a class."""

LEAF = 20
"""Rows of a leaf at least, or of fewer rows than its square a share: with that of scikit-learn a
table of less than forty rows cannot be split at all."""


class BoostedTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns its columns from the rows that it is fitted on."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, rows: Sequence[Row], targets: Any) -> "BoostedTrees":
        self.columns_ = learn_columns(rows)
        self.classes_ = np.unique(targets)
        rounds = max(10, min(ROUNDS, TREES // len(self.classes_)))
        self.model_ = HistGradientBoostingClassifier(
            max_iter=rounds,
            min_samples_leaf=max(1, min(LEAF, len(rows) // LEAF)),
            random_state=self.seed,
            early_stopping=False,
        )
        self.model_.fit(self._values(rows), targets)
        return self

    def predict_proba(self, rows: Sequence[Row]) -> Any:
        return self.model_.predict_proba(self._values(rows))

    def _values(self, rows: Sequence[Row]) -> Any:
        return np.asarray(encode(rows, self.columns_, max(1, size_of(self.columns_))))


def boosted_trees(seed: int) -> BoostedTrees:
    return BoostedTrees(seed)
