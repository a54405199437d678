"""The simple baseline of text: what any transfer has to beat."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

COEFFICIENTS = 8_000_000
"""Of the regression at most, of which its solver takes some twenty times the memory."""
FEATURES = 200_000
ITERATIONS = 300
MANY = 50
"""Classes from which on the iterations become fewer, so that they take as long as theirs."""


class TextRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Word 1-2-grams and character 1-4-grams, so that languages without spaces have a fair chance,
    then multinomial logistic regression: of many classes on the most frequent features."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, texts: Sequence[str], targets: Any) -> "TextRegression":
        self.classes_ = np.unique(targets)
        count = len(self.classes_)
        most = COEFFICIENTS // count // 2
        words = TfidfVectorizer(
            ngram_range=(1, 2),
            sublinear_tf=True,
            token_pattern=r"(?u)\w+|[^\w\s]",
            max_features=most,
        )
        characters = TfidfVectorizer(
            analyzer="char_wb",
            ngram_range=(1, 4),
            sublinear_tf=True,
            max_features=min(FEATURES, most),
        )
        iterations = max(30, ITERATIONS * MANY // max(MANY, count))
        regression = LogisticRegression(C=10.0, max_iter=iterations, random_state=self.seed)
        self.model_ = make_pipeline(make_union(words, characters), regression)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model_.fit(texts, targets)
        return self

    def predict_proba(self, texts: Sequence[str]) -> Any:
        return self.model_.predict_proba(texts)


def tfidf_logistic_regression(seed: int) -> TextRegression:
    return TextRegression(seed)
