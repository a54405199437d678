"""Keys as rows and as the file that replicas read."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from regraft.errors import UnauthorizedError, UnknownNameError
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry import schema
from regraft.registry.store import Registry


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    return Registry(tmp_path, database)


def request(**changes: Any) -> NewKey:
    return NewKey(**{"name": "ci", "project": "vision", "scopes": [Scope.PREDICT], **changes})


def test_a_key_is_told_once_and_kept_nowhere(registry: Registry) -> None:
    made = registry.keys.create(request())
    secret = made["key"].split("_", 2)[2]  # it may hold that character itself
    assert "key" not in registry.keys.get(made["id"])
    files = [path for path in registry.home.root.rglob("*") if path.is_file()]
    assert {"keys.json", "pepper"} <= {path.name for path in files}
    assert not [path for path in files if secret.encode() in path.read_bytes()]
    with registry.engine.connect() as connection:
        (row,) = connection.execute(select(schema.keys)).all()
    assert secret not in str(row)


def test_whoever_bears_it_is_let_in_until_it_is_revoked(registry: Registry) -> None:
    made, other = registry.keys.create(request()), registry.keys.create(request(name="other"))
    caller = registry.keys.authenticator()(f"Bearer {made['key']}")
    assert (caller.project, caller.scopes) == ("vision", frozenset({Scope.PREDICT}))
    assert registry.keys.revoke(made["id"])["revoked"] is not None
    with pytest.raises(UnauthorizedError):
        registry.keys.authenticator()(f"Bearer {made['key']}")
    registry.keys.authenticator()(f"Bearer {other['key']}")


def test_an_expired_key_lets_nobody_in(registry: Registry) -> None:
    made = registry.keys.create(request(days=1e-9))
    with pytest.raises(UnauthorizedError):
        registry.keys.authenticator()(f"Bearer {made['key']}")


def test_keys_are_listed_with_their_times(registry: Registry) -> None:
    first, second = registry.keys.create(request()), registry.keys.create(request())
    registry.keys.revoke(first["id"])
    listed = {row["id"]: row for row in registry.keys.all()}
    assert listed.keys() == {first["id"], second["id"]}
    assert listed[second["id"]]["revoked"] is None
    with pytest.raises(UnknownNameError, match="API key"):
        registry.keys.revoke("nosuch")


def test_revoking_again_keeps_the_first_time(registry: Registry) -> None:
    made = registry.keys.create(request())
    first = registry.keys.revoke(made["id"])["revoked"]
    assert registry.keys.revoke(made["id"])["revoked"] == first
