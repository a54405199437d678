"""Folds of the training part: stratified, groups whole, rare classes only trained on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regraft.data.folds import make_folds
from regraft.domain import Examples


def examples(labels: Sequence[str], groups: Sequence[str] | None = None) -> Examples:
    numbers = tuple(range(1, len(labels) + 1))
    inputs = tuple(map(str, numbers))
    return Examples(inputs, tuple(labels), numbers, None if groups is None else tuple(groups))


def test_every_row_is_held_out_once_and_classes_are_even() -> None:
    labels = ["a"] * 30 + ["b"] * 15
    folds = make_folds(examples(labels), 0)
    held_out = np.concatenate([held for _, held in folds])
    assert sorted(held_out) == list(range(45))
    assert all((held < 30).sum() == 10 for _, held in folds)


def test_there_are_as_many_folds_as_asked_for() -> None:
    folds = make_folds(examples(["a", "b"] * 10), 0, 4)
    assert [len(held) for _, held in folds] == [5, 5, 5, 5]
    assert make_folds(examples(["a", "b"] * 3), 0, 4) == ()


def test_rows_of_a_rare_class_are_never_held_out() -> None:
    folds = make_folds(examples(["a"] * 9 + ["b"] * 9 + ["c"] * 2), 0)
    for trained, held in folds:
        assert {18, 19} <= set(trained)
        assert not {18, 19} & set(held)


def test_same_seed_gives_the_same_folds() -> None:
    data = examples(["a", "b"] * 20)
    for one, two in zip(make_folds(data, 3), make_folds(data, 3), strict=True):
        np.testing.assert_array_equal(one[1], two[1])


def test_too_few_rows_give_no_fold() -> None:
    assert make_folds(examples(["a", "b", "b"]), 0) == ()
    assert make_folds(examples(["a"] * 9), 0) == ()
    assert not make_folds(examples(["a", "b"] * 9, ["g"] * 18), 0)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["", "g", "h", "i", "j"])), max_size=60
    ),
    seed=st.integers(0, 5),
)
def test_groups_are_whole_and_held_out_classes_are_trained_on(
    rows: list[tuple[str, str]], seed: int
) -> None:
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    for trained, held in make_folds(examples(labels, groups), seed):
        assert not set(trained) & set(held)
        assert {labels[row] for row in held} <= {labels[row] for row in trained}
        assert not {groups[row] for row in held} & {groups[row] for row in trained} - {""}
        assert len({labels[row] for row in trained}) > 1


def test_rows_of_equal_input_are_on_one_side() -> None:
    once = examples(["a", "b"] * 15)
    texts = tuple(str(row // 2 * 2 + row % 2 - row % 6 // 2 * 2) for row in range(30))
    for trained, held in make_folds(replace(once, inputs=texts), 0):
        assert not {texts[row] for row in trained} & {texts[row] for row in held}


def test_class_in_one_group_leaves_folds_that_can_be_learnt_from() -> None:
    labels = ["yes"] * 4 + ["no"] * 30
    groups = ["p"] * 4 + [f"q{row % 10}" for row in range(30)]
    for trained, _ in make_folds(examples(labels, groups), 0):
        assert {labels[row] for row in trained} == {"yes", "no"}
