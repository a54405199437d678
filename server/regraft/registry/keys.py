"""API keys: made once, told once, kept as hashes."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Row, insert, select, update

from regraft.domain import JSON
from regraft.errors import UnknownNameError
from regraft.identity.authenticator import Bearers, bearers
from regraft.identity.key_table import dumped
from regraft.identity.keys import ApiKey
from regraft.identity.new_key import NewKey
from regraft.identity.pepper import pepper
from regraft.identity.tokens import Issuer
from regraft.registry.blobs import write_atomically
from regraft.registry.home import Home
from regraft.registry.key_rows import good_keys
from regraft.registry.schema import aware, keys, reader


class KeyRegistry:
    """Each change is one transaction and then one new file of all good keys, which replicas read:
    a prediction needs no database to be let in."""

    def __init__(self, engine: Engine, home: Home) -> None:
        self.engine = engine
        self.reading = reader(engine)
        self.home = home

    def create(self, wanted: NewKey) -> JSON:
        """The record of a new key, with the `key` itself, which is never told again."""
        key, now = ApiKey.new(), datetime.now(UTC)
        row = {
            "name": wanted.name,
            "project": wanted.project,
            "scopes": sorted(set(wanted.scopes)),
            "created": now,
            "expires": wanted.expires,
        }
        with self.engine.begin() as connection:
            digest = key.digest(pepper(self.home.pepper))
            connection.execute(insert(keys).values(id=key.id, digest=digest, **row))
        self.synchronise()
        return {**self.get(key.id), "key": str(key)}

    def get(self, identifier: str) -> JSON:
        known = {row["id"]: row for row in self.all()}
        if identifier not in known:
            raise UnknownNameError("API key", identifier, list(known)[:20])
        return known[identifier]

    def all(self) -> list[JSON]:
        """All keys, also those that were revoked, the newest first."""
        with self.reading.begin() as connection:
            query = select(keys).order_by(keys.c.created.desc())
            return [_record(row) for row in connection.execute(query)]

    def revoke(self, identifier: str) -> JSON:
        """The key is good no more, within seconds and for good."""
        self.get(identifier)
        statement = update(keys).where(keys.c.id == identifier, keys.c.revoked.is_(None))
        with self.engine.begin() as connection:
            connection.execute(statement.values(revoked=datetime.now(UTC)))
        self.synchronise()
        return self.get(identifier)

    def synchronise(self) -> None:
        """Write the file anew. The writer's turn is held meanwhile, so that the last word wins."""
        with self.engine.begin() as connection:
            write_atomically(self.home.keys, dumped(good_keys(connection)))

    def authenticator(self, issuer: Issuer | None = None) -> Bearers:
        """Of those who bear the keys of this home, or the issuer's tokens."""
        return bearers(self.home.keys, self.home.pepper, issuer)


def _record(row: "Row[Any]") -> JSON:
    times = {name: getattr(row, name) for name in ("created", "expires", "revoked")}
    return {
        "id": row.id,
        "name": row.name,
        "project": row.project,
        "scopes": sorted(row.scopes),
        **{name: when and aware(when).isoformat() for name, when in times.items()},
    }
