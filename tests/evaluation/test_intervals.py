"""Paired bootstrap intervals."""

import numpy as np
import pytest

from regraft.evaluation.intervals import paired_bootstrap


def test_interval_is_that_of_the_normal_approximation_for_many_rows() -> None:
    difference = np.random.default_rng(0).normal(0.1, 0.05, 2000)
    found = paired_bootstrap(difference, np.zeros(2000), seed=1)
    half = 1.96 * difference.std() / np.sqrt(2000)
    assert found.value == pytest.approx(difference.mean())
    assert found.low == pytest.approx(found.value - half, abs=half / 8)
    assert found.high == pytest.approx(found.value + half, abs=half / 8)


@pytest.mark.parametrize(("rows", "certain"), [(1, False), (2, False), (4, False), (6, True)])
def test_a_handful_of_rows_that_agree_leaves_doubt(rows: int, certain: bool) -> None:
    """As an exact test has it: six of six are no chance, four may be."""
    found = paired_bootstrap(np.ones(rows), np.zeros(rows), seed=0)
    assert (found.value, found.low > 0) == (1, certain)
    groups = [str(row // 50) for row in range(50 * rows)]
    many = paired_bootstrap(np.ones(50 * rows), np.zeros(50 * rows), 0, groups)
    assert (many.low > 0) == certain


def test_interval_is_the_same_for_the_same_seed() -> None:
    ours, theirs = np.random.default_rng(0).random((2, 50))
    first, again, other = (paired_bootstrap(ours, theirs, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_rows_are_drawn_in_pairs() -> None:
    hard_or_easy = np.random.default_rng(0).integers(0, 2, 300).astype(float)
    found = paired_bootstrap(hard_or_easy, hard_or_easy, seed=0)
    assert found.value == 0
    assert -0.02 < found.low < 0 < found.high < 0.02


@pytest.mark.parametrize("rows", [1, 4, 20])
def test_a_handful_in_which_both_are_alike_leaves_doubt(rows: int) -> None:
    found = paired_bootstrap(np.ones(rows), np.ones(rows), seed=0)
    assert found.value == 0
    assert found.high == pytest.approx(-found.low, abs=0.1)
    assert found.high > 0.5 / rows


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        ours, theirs = rng.random(60) < 0.8, rng.random(60) < 0.7
        found = paired_bootstrap(ours, theirs, seed=trial)
        covered += found.low <= 0.1 <= found.high
    assert 88 <= covered <= 99


def test_rows_of_one_group_count_as_one_draw() -> None:
    rng = np.random.default_rng(5)
    ours = np.repeat(rng.integers(0, 2, 20), 50).astype(float)
    theirs = np.repeat(rng.integers(0, 2, 20), 50).astype(float)
    groups = [str(index) for index in np.repeat(np.arange(20), 50)]
    grouped = paired_bootstrap(ours, theirs, 0, groups)
    single = paired_bootstrap(ours, theirs, 0)
    assert grouped.value == single.value
    assert grouped.high - grouped.low > 3 * (single.high - single.low)
