"""The command line, called in this process."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regraft.cli.main import run
from regraft.registry.home import Home


@dataclass(frozen=True)
class Answer:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; an error if there is anything else."""
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture
def regraft(
    capsys: pytest.CaptureFixture[str], fresh_home: Home, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Runs `regraft WORDS…` on a home of the test's own, in a wide terminal."""
    monkeypatch.setenv("REGRAFT_HOME", str(fresh_home.root))
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: str) -> Answer:
        code = run([*words])
        return Answer(code, *capsys.readouterr())

    return command


@pytest.fixture
def adapt(regraft: Command, tiny_bert: Path, reviews: Path) -> Command:
    """Runs `regraft adapt` of tiny-bert to the reviews, with more words."""

    def command(*words: str) -> Answer:
        given: Sequence[str] = ["--name", "reviews", "--source", str(tiny_bert), *words]
        return regraft("adapt", str(reviews), *given)

    return command
