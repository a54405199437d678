"""Paired bootstrap intervals."""

from dataclasses import asdict, dataclass

import numpy as np

from regraft.contract import Array
from regraft.domain import JSON

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A difference of means and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> JSON:
        return asdict(self)


def paired_bootstrap(ours: Array, theirs: Array, seed: int) -> Interval:
    """The 95 % percentile interval of mean(ours − theirs), rows [N] drawn together.

    Source: Efron & Tibshirani 1993, chapter 13.
    """
    difference = np.asarray(ours, float) - np.asarray(theirs, float)
    rng = np.random.default_rng(seed)
    means = [
        difference[rng.integers(0, len(difference), len(difference))].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(difference.mean()), float(low), float(high))
