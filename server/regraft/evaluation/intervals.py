"""Intervals: of paired differences, and of shares."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import binomtest, norm

from regraft.contract import Array
from regraft.domain import JSON

RESAMPLES = 2000
USUAL = 0.95


@dataclass(frozen=True)
class Interval:
    """A difference of means and its interval, of 95 % where nothing else is said."""

    value: float
    low: float
    high: float

    def as_dict(self) -> JSON:
        return asdict(self)


def share(hits: int, of: int, level: float = USUAL) -> Interval:
    """A share of independent trials, at least one. Source: Wilson 1927."""
    low, high = binomtest(hits, of).proportion_ci(level, method="wilson")
    return Interval(hits / of, float(low), float(high))


def difference_of_shares(one: Interval, other: Interval) -> Interval:
    """One share less another of other trials. Source: Newcombe 1998, method 10."""
    value = one.value - other.value
    below = np.hypot(one.value - one.low, other.high - other.value)
    above = np.hypot(one.high - one.value, other.value - other.low)
    return Interval(value, float(value - below), float(value + above))


def level_at_any_time(of: float, first: float) -> float:
    """The level that an interval of so many trials needs so that, looked at again and again from
    the `first` trials on, it misses what is true but once in twenty.

    Source: Robbins 1970, the normal mixture; Howard et al. 2021, section 3.
    """
    grown = of / first
    deviations = np.sqrt((1 + 1 / grown) * np.log((1 + grown) / (1 - USUAL) ** 2))
    return float(1 - 2 * norm.sf(deviations))


def paired_bootstrap(
    ours: Array, theirs: Array, seed: int, groups: Sequence[str] | None = None
) -> Interval:
    """The 95 % percentile interval of mean(ours − theirs) over rows [N].

    Rows of one group are not independent, so whole groups are drawn; each row is a group of its own
    unless `groups` [N] says otherwise. Two that were not seen are drawn with them, in which the one
    or the other is as much better as in any that was, or by 1 where both are as good in all: a
    handful of rows that agree would leave no doubt at all. Sources: Efron & Tibshirani 1993,
    chapters 8 and 13; Agresti & Min 2005.
    """
    difference = np.asarray(ours, float) - np.asarray(theirs, float)
    names = range(len(difference)) if groups is None else groups
    _, units = np.unique(np.asarray(names), return_inverse=True)
    sums, sizes = np.bincount(units, difference), np.bincount(units).astype(float)
    usual, most = sizes.mean(), np.abs(difference).max() or 1.0
    sums = np.append(sums, [usual * most, -usual * most])
    sizes = np.append(sizes, [usual, usual])
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(sums), len(sums)) for _ in range(RESAMPLES))
    means = [sums[draw].sum() / sizes[draw].sum() for draw in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(difference.mean()), float(low), float(high))
