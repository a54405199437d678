"""Who is let into a Ray of ours."""

import os
from pathlib import Path

import pytest

from regraft.registry.ray_token import TOKEN, TOKEN_PATH, entry, let_in
from regraft.settings import Settings

MODE = "RAY_AUTH_MODE"


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is as it was, after."""
    for name in (TOKEN, TOKEN_PATH, MODE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def told() -> dict[str, str]:
    return {name: os.environ[name] for name in (TOKEN, MODE) if name in os.environ}


def test_one_that_is_started_is_left_to_turn_tokens_on_itself(tmp_path: Path) -> None:
    let_in(Settings(home=tmp_path))
    assert told() == {TOKEN: (tmp_path / "ray-token").read_text()}


def test_who_joins_shows_the_token_of_the_home_if_it_has_one(tmp_path: Path) -> None:
    joining = Settings(home=tmp_path, address="10.0.0.1:6379")
    let_in(joining)
    assert told() == {}, "others started it, who say themselves how to get in"
    entry(Settings(home=tmp_path), {})
    let_in(joining)
    assert told() == {TOKEN: (tmp_path / "ray-token").read_text(), MODE: "token"}


@pytest.mark.parametrize("name", [TOKEN, TOKEN_PATH])
def test_what_was_given_is_heeded(tmp_path: Path, name: str) -> None:
    assert entry(Settings(home=tmp_path), {name: "x"}) == {}
    assert not (tmp_path / "ray-token").exists()
