"""The keys that a user keeps, by server."""

from pathlib import Path

import pytest

from regraft.client import Client
from regraft.client.credentials import VARIABLE, save_key, saved_key


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


def test_each_server_has_its_key(folder: Path) -> None:
    assert saved_key("http://a") is None
    save_key("http://a/", "one"), save_key("http://b", "two"), save_key("http://a", "three")
    assert (saved_key("http://a"), saved_key("http://b/")) == ("three", "two")


def test_none_but_the_user_reads_them(folder: Path) -> None:
    path = save_key("http://a", "one")
    assert path == folder / "regraft" / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["credentials.json"]


def test_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    save_key("http://a", "one")
    monkeypatch.setenv(VARIABLE, "given")
    assert saved_key("http://a") == "given"


def test_a_file_that_cannot_be_read_is_as_none(folder: Path) -> None:
    save_key("http://a", "one").write_text("{")
    assert saved_key("http://a") is None


def test_a_client_sends_the_key_it_is_given_or_the_one_that_is_kept() -> None:
    save_key("http://127.0.0.1:9", "kept")
    for given, sent in ((None, "Bearer kept"), ("own", "Bearer own")):
        with Client("http://127.0.0.1:9", key=given) as client:
            assert client.connection.http.headers["authorization"] == sent
    with Client("http://127.0.0.1:10") as client:
        assert "authorization" not in client.connection.http.headers
