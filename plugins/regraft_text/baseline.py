"""The simple baseline of text: what any transfer has to beat."""

from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union


def tfidf_logistic_regression(seed: int) -> Any:
    """An unfitted pipeline: word 1-2-grams and character 1-4-grams, so that languages without
    spaces have a fair chance, then multinomial logistic regression."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+|[^\w\s]")
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=200_000
    )
    regression = LogisticRegression(C=10.0, max_iter=300, random_state=seed)
    return make_pipeline(make_union(words, characters), regression)
