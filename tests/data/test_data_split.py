"""The split: its promises hold for any data set."""

from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from regraft.data.apportion import apportion
from regraft.data.split import split
from regraft.data.units import units_of
from regraft.domain import Examples
from regraft.errors import DataError

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}
LABELS = ("a", "b", "c")


def examples(rows):
    inputs, labels, groups = zip(*rows, strict=True)
    return Examples(inputs, labels, tuple(range(1, len(rows) + 1)), groups)


def divide(data, seed=0, fractions=FRACTIONS):
    return split("data", data, LABELS, fractions, np.random.default_rng(seed))


# Each label occurs three times alone, so that a split exists.
enough = [(f"{label}{number}", label, "") for label in LABELS for number in range(3)]
some_text = st.integers(0, 30).map("t{}".format)
some_group = st.integers(0, 8).map(lambda n: f"g{n}" if n else "")
any_row = st.tuples(some_text, st.sampled_from(LABELS), some_group)
lone_row = st.tuples(st.uuids().map(str), st.sampled_from(LABELS), st.just(""))
data_sets = st.lists(any_row, max_size=60).map(lambda rows: examples(enough + rows))
tables_of_lone_rows = st.lists(lone_row, max_size=200, unique=True).map(
    lambda rows: examples(enough + rows)
)


@settings(max_examples=50, deadline=None)
@given(data_sets, st.integers(0, 99))
def test_no_input_and_no_group_is_in_two_parts(data, seed):
    parts = divide(data, seed).values()
    for values in ([set(part.inputs) for part in parts], [{*part.groups} - {""} for part in parts]):
        assert sum(map(len, values)) == len(set.union(*values))


@settings(max_examples=50, deadline=None)
@given(data_sets, st.integers(0, 99))
def test_every_row_is_in_one_part_and_every_class_in_every_part(data, seed):
    parts = divide(data, seed).values()
    assert sorted(sum((part.numbers for part in parts), ())) == list(data.numbers)
    assert all(set(part.labels) == set(LABELS) for part in parts)


@settings(max_examples=50, deadline=None)
@given(data_sets, st.integers(0, 99))
def test_the_same_seed_gives_the_same_parts(data, seed):
    assert divide(data, seed) == divide(data, seed)


@settings(max_examples=50, deadline=None)
@given(tables_of_lone_rows)
def test_lone_rows_are_divided_as_the_fractions_ask(data):
    parts, counts = divide(data), Counter(data.labels)
    for label in LABELS:
        shares = apportion(counts[label], list(FRACTIONS.values()), [1, 1, 1])
        assert [part.labels.count(label) for part in parts.values()] == shares


@settings(max_examples=50, deadline=None)
@given(st.lists(any_row, min_size=9, max_size=40).map(examples))
def test_a_part_is_never_incomplete_even_if_a_split_may_be_refused(data):
    with suppress(DataError):
        assert all(set(part.labels) == set(LABELS) for part in divide(data).values())


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 500),
    st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_shares_sum_to_the_total_and_are_near_their_weights(total, weights, least):
    assume(total >= least * len(weights))
    shares = apportion(total, weights, [least] * len(weights))
    exact = [total * weight / sum(weights) for weight in weights]
    assert sum(shares) == total
    assert min(shares) >= least
    if min(exact) >= least:
        assert all(abs(share - due) < 1 + 1e-6 for share, due in zip(shares, exact, strict=True))


def test_another_seed_gives_other_parts():
    data = examples([(f"t{n}", LABELS[n % 3], "") for n in range(90)])
    assert divide(data, 1)["test"].inputs != divide(data, 2)["test"].inputs


def test_groups_and_inputs_connect_rows_through_each_other():
    rows = [("t1", "a", "g1"), ("t2", "a", "g1"), (" t2 ", "b", "g2"), ("t3", "b", "g2")]
    units = units_of(examples([*rows, ("t4", "a", ""), ("t5", "b", "")]), LABELS)
    assert sorted(map(sorted, units.rows)) == [[0, 1, 2, 3], [4], [5]]


def test_groups_of_like_size_come_near_the_fractions():
    data = examples([(f"t{n}", LABELS[n % 3], f"g{n // 10}") for n in range(1000)])
    sizes = [len(part) for part in divide(data).values()]
    assert sizes == pytest.approx([700, 150, 150], abs=20)


def test_three_groups_are_enough_for_three_parts():
    data = examples([(f"t{n}", LABELS[n % 3], f"g{n // 10}") for n in range(30)])
    assert [len(part) for part in divide(data).values()] == [10, 10, 10]


def test_groups_that_cannot_be_told_apart_are_explained():
    rows = [(f"t{n}", label, f"{label}{n % 2}") for n in range(20) for label in LABELS]
    with pytest.raises(DataError, match="20 rows in 2 groups"):
        divide(examples(rows))


def grouped(*groups):
    """One group for each word; its letters are the classes of its rows."""
    return examples(
        [(f"{n}{label}", label, f"g{n}") for n, group in enumerate(groups) for label in group]
    )


def test_a_split_that_only_one_pairing_of_groups_allows_is_found():
    parts = divide(grouped("aabb", "aacc", "bbcc", "a", "b", "c"))
    assert all(set(part.labels) == set(LABELS) for part in parts.values())


def test_classes_that_no_placing_of_the_groups_can_separate_are_explained():
    with pytest.raises(DataError, match="no way was found to have the class"):
        divide(grouped("ab", "ac", "a", "bc", "bc"))
