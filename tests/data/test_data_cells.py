"""Cells as text."""

import pytest

from regraft.data.cells import as_text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("a ", "a "),
        ("1.0", "1.0"),
        (1, "1"),
        (1.0, "1"),
        (-0.5, "-0.5"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        (float("nan"), ""),
        (float("inf"), "inf"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_equal_values_have_one_spelling(cell, text):
    assert as_text(cell) == text


@pytest.mark.parametrize("cell", [["a"], {"a": 1}, b"a"])
def test_what_is_no_scalar_has_no_spelling(cell):
    assert as_text(cell) is None
