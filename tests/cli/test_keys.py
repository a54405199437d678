"""`regraft keys` on a home, and `regraft login` at a server."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from regraft.cli.keys import keys, login
from regraft.client.credentials import VARIABLE, saved_key
from regraft.errors import InvalidInputError, UnknownNameError
from regraft.registry.store import Registry


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("REGRAFT_URL", raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(keys, arguments)


def test_a_key_is_printed_alone_and_lets_its_bearer_in(tmp_path: Path) -> None:
    done = ask(
        "create", "ci", "--scope", "predict", "--scope", "models:read", "--project", "vision"
    )
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    caller = Registry(tmp_path / "home").keys.authenticator()(f"Bearer {line}")
    assert (caller.project, sorted(caller.scopes)) == ("vision", ["models:read", "predict"])
    assert f"regraft keys revoke {line.split('_')[1]}" in done.stderr


def test_keys_are_listed_until_and_after_they_are_revoked() -> None:
    assert "There are no keys yet" in ask("list").stdout
    made = json.loads(ask("create", "ci", "--scope", "admin", "--days", "30", "--json").stdout)
    assert ask("revoke", made["id"]).exit_code == 0
    (row,) = json.loads(ask("list", "--json").stdout)
    assert (row["name"], row["scopes"]) == ("ci", ["admin"])
    assert row["revoked"] is not None
    assert row["expires"] is not None
    assert "key" not in row


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("create", "ci", "--scope", "predict", "--days", "-1"), InvalidInputError),
        (("create", "no name", "--scope", "predict"), InvalidInputError),
        (("revoke", "nosuch"), UnknownNameError),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], error: type) -> None:
    assert isinstance(ask(*arguments).exception, error)


def test_a_key_needs_a_scope_that_there_is() -> None:
    assert ask("create", "ci").exit_code == 2
    assert "is not one of" in ask("create", "ci", "--scope", "everything").output


class Answering(BaseHTTPRequestHandler):
    """Knows one key."""

    def do_GET(self) -> None:
        good = self.headers["authorization"] == "Bearer good"
        me = {"id": "key:1", "project": "vision", "scopes": ["predict"]}
        body = json.dumps(me if good else {"detail": "The API key is not valid."}).encode()
        self.send_response(200 if good else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_key_that_the_server_knows_is_kept(url: str) -> None:
    done = CliRunner().invoke(login, ["--url", url], input="good\n")
    assert done.exit_code == 0
    assert "project vision, may: predict" in done.stderr
    assert "good" not in done.output
    assert saved_key(url) == "good"


def test_a_key_that_it_does_not_know_is_not(url: str) -> None:
    done = CliRunner().invoke(login, ["--url", url, "--key", "bad"])
    assert "not valid" in str(done.exception)
    assert saved_key(url) is None
