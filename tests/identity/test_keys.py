"""API keys: what they look like, and whom they let in."""

import json
import os
from pathlib import Path

import pytest

from regraft.errors import ForbiddenError, UnauthorizedError
from regraft.identity.authenticator import Bearers, KeyAuthenticator, anybody, bearer
from regraft.identity.caller import Caller, View
from regraft.identity.key_table import KeyRow, KeyTable, dumped
from regraft.identity.keys import ApiKey
from regraft.identity.pepper import pepper
from regraft.identity.scopes import Scope

PEPPER = b"pepper"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def known(path: Path, clock: Clock, *keys: ApiKey, expires: float | None = None) -> Bearers:
    write(path, *keys, expires=expires)
    return Bearers(KeyAuthenticator(KeyTable(path, clock), PEPPER, clock))


def write(path: Path, *keys: ApiKey, expires: float | None = None) -> None:
    rows = [KeyRow(k.id, k.digest(PEPPER), "p", (Scope.PREDICT,), expires) for k in keys]
    path.with_suffix(".new").write_bytes(dumped(rows))
    os.replace(path.with_suffix(".new"), path)


def test_a_key_is_read_as_it_is_told_and_its_secret_is_256_random_bits() -> None:
    key = ApiKey.new()
    assert ApiKey.parse(str(key)) == key
    assert str(key).startswith(f"rgk_{key.id}_")
    assert len({ApiKey.new().secret for _ in range(100)}) == 100
    assert len(key.secret) * 6 >= 256


@pytest.mark.parametrize("text", ["", "rgk_1_2", "x", "rgk_" + "0" * 12 + "_" + "é" * 43])
def test_what_is_no_key_is_none(text: str) -> None:
    assert ApiKey.parse(text) is None


def test_a_hash_needs_the_pepper() -> None:
    key = ApiKey.new()
    assert key.digest(PEPPER) != key.digest(b"other")
    assert key.secret not in key.digest(PEPPER)


def test_the_bearer_of_a_key_is_who_the_table_says(tmp_path: Path, clock: Clock) -> None:
    key = ApiKey.new()
    found = known(tmp_path / "keys", clock, key)(f"Bearer {key}")
    assert found == Caller(f"key:{key.id}", "p", frozenset({Scope.PREDICT}))


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer ", "rgk_x"])
def test_without_credentials_the_error_says_what_to_send(header: str | None) -> None:
    with pytest.raises(UnauthorizedError, match="Authorization: Bearer rgk_"):
        bearer(header)


def test_every_wrong_key_has_the_same_answer(tmp_path: Path, clock: Clock) -> None:
    key, other = ApiKey.new(), ApiKey.new()
    authenticate = known(tmp_path / "keys", clock, key)
    wrong = [str(other), str(ApiKey(key.id, other.secret)), str(ApiKey(other.id, key.secret)), "x"]
    texts = set()
    for text in wrong:
        with pytest.raises(UnauthorizedError) as caught:
            authenticate(f"Bearer {text}")
        texts.add(str(caught.value))
    assert texts == {"The API key is not valid: unknown, expired or revoked."}


def test_a_key_ends_when_it_expires(tmp_path: Path, clock: Clock) -> None:
    key = ApiKey.new()
    authenticate = known(tmp_path / "keys", clock, key, expires=100.0)
    assert authenticate(f"Bearer {key}").project == "p"
    clock.now = 100.0
    with pytest.raises(UnauthorizedError):
        authenticate(f"Bearer {key}")


def test_a_key_that_left_the_table_is_refused_within_a_second(tmp_path: Path, clock: Clock) -> None:
    key, path = ApiKey.new(), tmp_path / "keys"
    authenticate = known(path, clock, key)
    authenticate(f"Bearer {key}")
    write(path)
    clock.now = 1.0
    with pytest.raises(UnauthorizedError):
        authenticate(f"Bearer {key}")


def test_a_new_key_is_good_at_once(tmp_path: Path, clock: Clock) -> None:
    first, second, path = ApiKey.new(), ApiKey.new(), tmp_path / "keys"
    authenticate = known(path, clock, first)
    authenticate(f"Bearer {first}")
    write(path, first, second)
    assert authenticate(f"Bearer {second}").id == f"key:{second.id}"


def test_without_a_table_nobody_is_known(tmp_path: Path, clock: Clock) -> None:
    authenticate = Bearers(KeyAuthenticator(KeyTable(tmp_path / "none", clock), PEPPER, clock))
    with pytest.raises(UnauthorizedError):
        authenticate(f"Bearer {ApiKey.new()}")


def test_a_caller_may_do_what_its_scopes_say_and_admin_everything() -> None:
    caller = Caller("a", "p", frozenset({Scope.PREDICT}))
    caller.require(Scope.PREDICT), caller.require(None)
    with pytest.raises(ForbiddenError, match=r"needs the scope 'admin'; the key has predict\."):
        caller.require(Scope.ADMIN)
    admin = Caller("b", "p", frozenset({Scope.ADMIN}))
    assert all(admin.allows(scope) for scope in Scope)
    assert anybody(None).allows(Scope.ADMIN)


def test_a_caller_sees_its_project_and_admin_every_one() -> None:
    assert Caller("a", "p", frozenset()).view == View("p", everywhere=False)
    assert not Caller("a", "p", frozenset()).sees("q")
    assert Caller("a", "p", frozenset({Scope.ADMIN})).sees("q")


def test_the_pepper_is_made_once_and_none_but_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "pepper"
    made = pepper(path)
    assert pepper(path) == made
    assert len(made) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["pepper"]


def test_the_table_holds_no_secret() -> None:
    key = ApiKey.new()
    text = dumped([KeyRow(key.id, key.digest(PEPPER), "p", (Scope.ADMIN,))])
    assert key.secret.encode() not in text
    assert json.loads(text)["keys"][0]["scopes"] == ["admin"]
