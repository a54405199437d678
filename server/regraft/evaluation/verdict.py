"""Whether transfer helped, in one word."""

from collections.abc import Sequence
from typing import Literal

from regraft.evaluation.intervals import Interval

Verdict = Literal["positive", "inconclusive", "negative"]


def decide(gains: Sequence[Interval], pretrained: bool) -> Verdict:
    """Negative if the interval of any gain is wholly below 0, positive if all are wholly above.

    A source model with random weights knows nothing: what it gives is never a positive transfer.
    """
    if any(gain.high < 0 for gain in gains):
        return "negative"
    better = bool(gains) and all(gain.low > 0 for gain in gains)
    return "positive" if better and pretrained else "inconclusive"
