"""Whole numbers in proportion to weights: the largest-remainder rule (Hamilton's method)."""

from collections.abc import Sequence
from math import floor


def apportion(total: int, weights: Sequence[float], least: Sequence[int]) -> list[int]:
    """Shares that sum to `total`, each at least its `least` and as near to its weight as can be.

    Needs total >= sum(least).
    """
    whole = sum(weights)
    above = [max(total * w / whole - m, 0.0) for w, m in zip(weights, least, strict=True)]
    rest = total - sum(least)
    scale = rest / (sum(above) or 1.0)
    exact = [share * scale for share in above]
    shares = [m + floor(share) for m, share in zip(least, exact, strict=True)]
    by_remainder = sorted(range(len(exact)), key=lambda i: floor(exact[i]) - exact[i])
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares
