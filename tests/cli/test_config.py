"""`regraft config show`, and the file that settings may come from."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regraft.cli.config import config
from regraft.errors import InvalidInputError
from regraft.settings import FILE, Settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "regraft.toml"
    monkeypatch.setenv(FILE, str(path))
    return path


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(config, ["show", *arguments])


def shown() -> dict[str, tuple[object, str]]:
    return {row["name"]: (row["value"], row["from"]) for row in json.loads(ask("--json").stdout)}


def test_the_environment_comes_before_the_file_and_that_before_defaults(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("port = 9000\nmax_rate = 2.5\n")
    monkeypatch.setenv("REGRAFT_PORT", "9001")
    found = shown()
    assert found["port"] == (9001, "REGRAFT_PORT")
    assert found["max_rate"] == (2.5, str(file))
    assert found["replicas"] == (2, "default")
    assert set(found) == set(Settings.model_fields)
    assert Settings(port=9002).port == 9002


def test_no_secret_is_shown(file: Path) -> None:
    file.write_text('database = "postgresql://me:hunter2@host/regraft"\n')
    assert shown()["database"] == ("postgresql://…@host/regraft", str(file))
    assert "hunter2" not in ask().stdout


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_rat = 1", "unknown 'max_rat'. Did you mean 'max_rate'?"),
        ("max_rate = ", "cannot be read"),
        ("max_rate = -1", "max_rate"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_says_nothing_clear_is_refused(
    file: Path, text: str | None, reason: str
) -> None:
    if text is not None:
        file.write_text(text)
    error = ask().exception
    assert isinstance(error, InvalidInputError)
    assert reason in str(error)


def test_without_a_file_there_is_none() -> None:
    for name, (_, whence) in shown().items():
        assert whence in ("default", f"REGRAFT_{name.upper()}")
