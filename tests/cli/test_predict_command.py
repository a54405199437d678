"""What `regraft predict` refuses before it asks anybody."""

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("words", [(), ("fine", "--file", "x.png")])
def test_either_texts_or_files_are_asked_for(
    regraft: Any, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.png").touch()
    answer = regraft("predict", "reviews", *words)
    assert (answer.code, answer.err) == (
        2,
        "Error: Give texts, or files with --file, and not both.\n",
    )


def test_a_file_that_is_not_there_is_named(regraft: Any) -> None:
    answer = regraft("predict", "reviews", "--file", "gone.png")
    assert answer.code == 2
    assert answer.err == "Error: The file 'gone.png' cannot be read: No such file or directory.\n"


@pytest.mark.parametrize("words", [("reviews", "fine", "caf\udce9"), ("caf\udce9", "fine")])
def test_bytes_that_are_not_utf8_are_refused(regraft: Any, words: tuple[str, ...]) -> None:
    answer = regraft("predict", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "Error: 'caf\\udce9' is not UTF-8.\n"
