"""Endpoints and versions that nobody wants any more."""

from pathlib import Path

from sqlalchemy import Connection, Engine, delete, select, update

from regraft.errors import ConflictError
from regraft.identity.caller import EVERYTHING, View
from regraft.registry import schema
from regraft.registry.endpoint_rows import (
    check_match,
    check_version,
    current_table,
    end_trial,
    endpoint_row,
    record,
    trials,
)
from regraft.registry.owners import check_seen


class RemovalRegistry:
    """Each is one transaction and then one new table file, as `ModelRegistry` makes them. What a
    version leaves on the disk goes when the registry is cleaned."""

    def __init__(self, engine: Engine, tables: Path, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.view = view
        self.tables = tables

    def end(self, name: str, match: str | None = None) -> None:
        """Let nobody answer at this endpoint. Its versions stay, and its name its project's; the
        predictions that were kept of it go."""
        with self.engine.begin() as connection:
            check_seen(connection, "endpoint", name, self.view)
            check_match(connection, name, match)
            row = endpoint_row(connection, name)
            end_trial(connection, name)
            for table in (schema.placements, schema.endpoints):
                connection.execute(delete(table).where(table.c.name == name))
            for kept in (schema.predictions, schema.feedback):
                connection.execute(delete(kept).where(kept.c.endpoint == name))
            record(connection, name, row.version, "end")
            changed = current_table(connection)
        changed.write(self.tables)

    def delete(self, name: str, version: int) -> None:
        """Forget a version; ConflictError while it answers or is tried."""
        with self.engine.begin() as connection:
            check_seen(connection, "model", name, self.view)
            check_version(connection, name, version, self.view)
            _check_idle(connection, name, version)
            columns = schema.versions.c
            connection.execute(
                delete(schema.versions).where(columns.name == name, columns.version == version)
            )
            endpoints = schema.endpoints.c
            connection.execute(
                update(schema.endpoints)
                .where(endpoints.name == name, endpoints.previous == version)
                .values(previous=None)
            )
            # Its number is nobody else's from now on: publishing looks at this too.
            record(connection, name, version, "delete")
            changed = current_table(connection)
        changed.write(self.tables)


def _check_idle(connection: Connection, name: str, version: int) -> None:
    columns, trial = schema.endpoints.c, trials(connection).get(name)
    answering = connection.scalar(select(columns.version).where(columns.name == name))
    if version == answering:
        raise ConflictError(
            f"Version {version} of '{name}' answers. Promote another first, or end the endpoint."
        )
    if trial is not None and version == trial.version:
        raise ConflictError(f"Version {version} of '{name}' is tried. Roll it back first.")
