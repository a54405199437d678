"""What `regraft predict` refuses before it asks anybody."""

from typing import Any

import pytest


@pytest.mark.parametrize("words", [("reviews", "fine", "caf\udce9"), ("caf\udce9", "fine")])
def test_bytes_that_are_not_utf8_are_refused(regraft: Any, words: tuple[str, ...]) -> None:
    answer = regraft("predict", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "Error: 'caf\\udce9' is not UTF-8.\n"
