"""Rows repeated so that classes count alike."""

from collections import Counter

from regraft.data.balance import MOST, balanced

LABELS = tuple("a" * 70 + "b" * 30 + "c" * 7)


def test_every_class_has_as_many_as_the_largest_and_every_row_is_there() -> None:
    found = balanced(LABELS, seed=0)
    assert Counter(LABELS[row] for row in found) == {"a": 70, "b": 70, "c": 70}
    assert set(found) == set(range(len(LABELS)))


def test_rows_of_a_class_are_repeated_as_evenly_as_can_be() -> None:
    counts = Counter(balanced(LABELS, seed=0).tolist())
    assert {counts[row] for row in range(70, 100)} == {2, 3}
    assert {counts[row] for row in range(100, 107)} == {10}


def test_same_seed_gives_the_same_rows() -> None:
    assert balanced(LABELS, 1).tolist() == balanced(LABELS, 1).tolist()
    assert balanced(LABELS, 1).tolist() != balanced(LABELS, 2).tolist()


def test_many_small_classes_beside_a_large_one_do_not_become_as_many_rows_as_fit_nowhere() -> None:
    labels = ("large",) * 1000 + tuple(f"c{n // 5}" for n in range(500))
    found = balanced(labels, 0)
    assert len(found) <= MOST * len(labels)
    assert {*Counter(labels[row] for row in found).values()} == {MOST * len(labels) // 101}


def test_even_classes_stay_as_they_are() -> None:
    assert balanced(("a", "b", "a", "b"), 0).tolist() == [0, 1, 2, 3]
