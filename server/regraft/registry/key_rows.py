"""The rows of API keys that are good."""

from sqlalchemy import Connection, select

from regraft.identity.key_table import KeyRow
from regraft.identity.scopes import Scope
from regraft.registry.schema import aware, keys


def good_keys(connection: Connection) -> list[KeyRow]:
    rows = connection.execute(select(keys).where(keys.c.revoked.is_(None)))
    return [
        KeyRow(
            row.id,
            row.digest,
            row.project,
            tuple(Scope(name) for name in row.scopes),
            row.expires and aware(row.expires).timestamp(),
        )
        for row in rows
    ]
