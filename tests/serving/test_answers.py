"""Answers are kept for the same rows of the same version, and for no others."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from regraft.serving.answers import Answers, size


def predictor(version: int = 1, name: str = "m") -> Any:
    return SimpleNamespace(name=name, version=version)


def test_what_was_used_least_recently_makes_room() -> None:
    answers = Answers(2 * size({"n": np.array([0])}))
    keys = [answers.key(predictor(), [text]) for text in "abc"]
    for number, key in enumerate(keys):
        assert key is not None
        answers.put(key, {"n": np.array([number])})
        answers.get(keys[0] or b"")
    assert [answers.get(key or b"") is not None for key in keys] == [True, False, True]


@pytest.mark.parametrize(
    ("rows", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["a"], [b"a"]),
        (["a"], ["a", ""]),
        ([{"x": 1}], [{"x": "1"}]),
        ([{"x": 1}], ['{"x": 1}']),
        ([{"x": 1}], [{"x": True}]),
    ],
)
def test_rows_that_differ_have_other_keys(rows: list[Any], other: list[Any]) -> None:
    answers = Answers(1)
    assert answers.key(predictor(), rows) == answers.key(predictor(), list(rows))
    assert answers.key(predictor(), rows) != answers.key(predictor(), other)


def test_what_is_larger_than_all_that_may_be_kept_is_not_kept() -> None:
    answers = Answers(10_000)
    for key, count in ((b"small", 10), (b"large", 2000)):
        answers.put(key, {"n": np.zeros(count)})
        answers.put(key, {"n": np.zeros(count)})
    assert answers.get(b"large") is None
    assert answers.bytes == sum(map(size, answers.kept.values())) <= 10_000
    texts = np.array([b"x" * 9_000, b""], object)
    assert size({"t": texts}) > 9_000


def test_versions_and_endpoints_have_keys_of_their_own() -> None:
    asked = [predictor(), predictor(2), predictor(1, "n"), predictor(1, "m 1")]
    assert len({Answers(1).key(one, ["a"]) for one in asked}) == 4


@pytest.mark.parametrize("row", [object(), {"x": object()}, np.zeros(2), 3])
def test_rows_that_no_digest_tells_apart_have_none(row: Any) -> None:
    assert Answers(9).key(predictor(), ["a", row]) is None


def test_none_is_kept_unless_it_is_asked_for() -> None:
    assert Answers(0).key(predictor(), ["a"]) is None
