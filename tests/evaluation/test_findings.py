"""Findings, on features whose secrets are known."""

import tracemalloc

import numpy as np
import pytest

from regraft.evaluation.findings import Side, label_errors, listed, near_duplicates, shift


def clusters(rows: int, seed: int, gap: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % 3
    return rng.normal(size=(rows, 12)) + gap * np.eye(12)[targets], targets


def test_row_that_is_nearly_one_of_the_known_is_found() -> None:
    known, _ = clusters(60, 0)
    others, _ = clusters(30, 1)
    others[[4, 9]] = known[[7, 8]] + 0.01
    assert list(near_duplicates(known, others)) == [4, 9]


def test_no_row_is_a_near_duplicate_of_another_draw() -> None:
    assert len(near_duplicates(clusters(200, 0)[0], clusters(200, 1)[0])) == 0


@pytest.mark.parametrize("size", [2, 3, 4, 6, 10, 50])
def test_independent_rows_are_no_near_duplicates_in_any_dimension(size: int) -> None:
    known, others = np.random.default_rng(1).normal(size=(2, 150, size))
    assert len(near_duplicates(known, others)) == 0


@pytest.mark.parametrize(("size", "noise"), [(2, 1e-4), (3, 1e-3), (6, 0.01), (50, 0.1)])
def test_copies_with_noise_that_the_dimension_allows_are_found(size: int, noise: float) -> None:
    rng = np.random.default_rng(1)
    known, others = rng.normal(size=(2, 150, size))
    others[:20] = known[:20] + noise * rng.normal(size=(20, size))
    assert list(near_duplicates(known, others)) == list(range(20))


def test_copies_are_found_where_all_rows_have_some() -> None:
    """As of images that were augmented before they were split."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(60, 64)), 5, 0) + 0.1 * rng.normal(size=(300, 64))
    known, others = np.split(rows[rng.permutation(300)], [200])
    assert len(near_duplicates(known, others)) > 95


def test_records_of_one_category_are_no_near_duplicates() -> None:
    rng = np.random.default_rng(0)
    cities = np.eye(100)[rng.integers(0, 100, 2000)]
    rows = np.hstack([rng.normal(size=(2000, 3)), cities])
    known, others = np.split(rows, [1400])
    others[7] = known[70]
    assert list(near_duplicates(known, others, records=True)) == [7]


def test_few_rows_and_rows_without_numbers_are_no_near_duplicates() -> None:
    known, others = np.random.default_rng(0).normal(size=(2, 40, 30))
    assert len(near_duplicates(known[:2], others)) == len(near_duplicates(known, others[:0])) == 0
    others[:3] = known[:3]
    others[0] = np.nan
    assert list(near_duplicates(known, others)) == [1, 2]


def test_memory_for_near_duplicates_does_not_grow_with_the_product_of_rows() -> None:
    known, others = np.random.default_rng(0).normal(size=(2, 5000, 20)).astype(np.float32)
    tracemalloc.start()
    near_duplicates(known, others)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(known) * len(others) / 3


def test_planted_label_errors_come_first() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(90) % 3
    shares = np.full((90, 3), 0.05)
    shares[np.arange(90), targets] = 0.9
    shares += rng.uniform(0, 0.01, shares.shape)
    wrong = targets.copy()
    wrong[[3, 40, 77]] = (targets[[3, 40, 77]] + 1) % 3
    found = label_errors(shares, wrong)
    assert sorted(one.row for one in found) == [3, 40, 77]
    assert {one.row: one.suggested for one in found} == {3: 0, 40: 1, 77: 2}
    assert all(one.margin > 0.8 for one in found)


def test_unsure_rows_and_rows_without_a_probability_are_not_suspected() -> None:
    shares = np.array([[0.9, 0.1], [0.1, 0.9], [0.45, 0.55], [np.nan, np.nan]])
    assert label_errors(shares, np.array([0, 1, 0, 1])) == []


def side(rows: np.ndarray) -> Side:
    """Rows of which none belongs to another."""
    return Side(rows, np.arange(len(rows)))


def test_domains_that_differ_are_told_apart_and_alike_ones_are_not() -> None:
    one, other = clusters(300, 0)[0], clusters(300, 1)[0]
    alike = shift(side(one), side(other), seed=0)
    apart = shift(side(one), side(other + 1.0), seed=0)
    assert alike == pytest.approx(0.5, abs=0.1)
    assert apart is not None
    assert apart > 0.9


def test_few_rows_tell_nothing_of_a_shift() -> None:
    assert shift(side(np.zeros((19, 2))), side(np.ones((50, 2))), seed=0) is None


def test_rows_that_belong_together_are_no_shift() -> None:
    """Whoever knows one row of a patient knows the others, and says of which part he is."""
    rng = np.random.default_rng(0)
    patients = rng.normal(size=(50, 64))
    rows = np.repeat(patients, 20, 0) + rng.normal(size=(1000, 64)) / 10
    numbers = np.repeat(np.arange(50), 20)
    given = Side(rows[:500], numbers[:500]), Side(rows[500:], numbers[500:])
    found, blind = shift(*given, seed=0), shift(side(rows[:500]), side(rows[500:]), seed=0)
    assert found is not None
    assert blind is not None
    assert found < 0.75 < 0.95 < blind


def test_long_lists_are_cut() -> None:
    assert listed([1, 2]) == "1, 2"
    assert listed(list(range(12))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
