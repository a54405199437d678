"""The verdict, from intervals and what the source model knows."""

import pytest

from regraft.evaluation.intervals import Interval
from regraft.evaluation.verdict import decide

BETTER, EVEN, WORSE = Interval(0.1, 0.05, 0.2), Interval(0.0, -0.1, 0.1), Interval(-0.1, -0.2, -0.1)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([BETTER], "positive"),
        ([BETTER, BETTER], "positive"),
        ([BETTER, EVEN], "inconclusive"),
        ([EVEN], "inconclusive"),
        ([BETTER, WORSE], "negative"),
        ([WORSE], "negative"),
        ([], "inconclusive"),
    ],
)
def test_all_must_be_better_and_none_worse(gains: list[Interval], verdict: str) -> None:
    assert decide(gains, pretrained=True) == verdict


def test_random_weights_are_never_positive() -> None:
    assert decide([BETTER, BETTER], pretrained=False) == "inconclusive"
    assert decide([BETTER, WORSE], pretrained=False) == "negative"


def test_interval_that_touches_zero_shows_nothing() -> None:
    assert decide([Interval(0.1, 0.0, 0.2)], pretrained=True) == "inconclusive"
