"""Model versions and endpoints: publish, promote, roll back, list."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from regraft.domain import JSON, Blob, Endpoint, ModelVersion
from regraft.errors import ConflictError, UnknownNameError
from regraft.registry import schema
from regraft.registry.endpoint_table import EndpointTable, Route, revisions


class ModelRegistry:
    """Versions are appended; an endpoint points at one of them. Each change of an endpoint is one
    transaction and then one new table file; `synchronise` writes a file that a crash kept back."""

    def __init__(self, engine: Engine, tables: Path) -> None:
        self.engine = engine
        self.reading = schema.reader(engine)
        self.tables = tables

    def publish(self, name: str, manifest: Blob, summary: JSON, promote: bool) -> ModelVersion:
        """The next version of `name`; its blobs must be stored already."""
        now = datetime.now(UTC)
        with self.engine.begin() as connection:
            last = connection.scalar(
                select(func.max(schema.versions.c.version)).where(schema.versions.c.name == name)
            )
            version = (last or 0) + 1
            connection.execute(
                insert(schema.versions).values(
                    name=name,
                    version=version,
                    manifest=manifest.sha256,
                    manifest_size=manifest.size,
                    created=now,
                    summary=summary,
                )
            )
            table = _move(connection, name, version, "publish") if promote else None
        if table is not None:
            table.write(self.tables)
        return ModelVersion(name, version, manifest, now, summary)

    def promote(self, name: str, version: int, force: bool = False) -> Endpoint:
        """Point the endpoint at this version; ConflictError if its verdict is negative, unless
        `force`."""
        with self.engine.begin() as connection:
            query = select(schema.versions.c.version, schema.versions.c.summary)
            rows = connection.execute(query.where(schema.versions.c.name == name)).all()
            known = {row.version: row.summary for row in rows}
            if version not in known:
                raise UnknownNameError(f"version of '{name}'", str(version), map(str, known))
            if known[version].get("verdict") == "negative" and not force:
                raise ConflictError(
                    f"Transfer made version {version} of '{name}' worse than a baseline: its "
                    "verdict is negative, so that the endpoint stays. To move it nevertheless, "
                    "promote with force."
                )
            table = _move(connection, name, version, "promote")
        table.write(self.tables)
        return self.endpoint(name)

    def roll_back(self, name: str, expected: int | None = None) -> Endpoint:
        """Point the endpoint at the version that it served before.

        An endpoint that does not serve the version `expected` stays as it is, so that a request
        may be repeated: its own first try, or somebody else, has moved it already.
        """
        with self.engine.begin() as connection:
            row = _endpoint_row(connection, name)
            moves = expected in (None, row.version)
            if moves and row.previous is None:
                raise ConflictError(f"The endpoint '{name}' has no earlier version to go back to.")
            if moves:
                _move(connection, name, row.previous, "rollback")
        # The first try may have been ended between its transaction and its file.
        self.synchronise()
        return self.endpoint(name)

    def synchronise(self) -> int:
        """Write the current table if its file is missing; its revision."""
        with self.reading.begin() as connection:
            table = _table(connection)
        if table.revision not in revisions(self.tables):
            table.write(self.tables)
        return table.revision

    def endpoint(self, name: str) -> Endpoint:
        with self.reading.begin() as connection:
            return _endpoint(_endpoint_row(connection, name))

    def endpoints(self) -> list[Endpoint]:
        query = select(schema.endpoints).order_by(schema.endpoints.c.name)
        with self.reading.begin() as connection:
            return [_endpoint(row) for row in connection.execute(query)]

    def versions(self, name: str | None = None) -> list[ModelVersion]:
        """All versions, or those of one model, which then must exist."""
        query = select(schema.versions).order_by(schema.versions.c.name, schema.versions.c.version)
        with self.reading.begin() as connection:
            found = [_version(row) for row in connection.execute(query)]
        if name is None:
            return found
        chosen = [version for version in found if version.name == name]
        if not chosen:
            raise UnknownNameError("model", name, {version.name for version in found})
        return chosen

    def version(self, name: str, version: int | None = None) -> ModelVersion:
        """One version of a model; the newest unless it is named."""
        found = self.versions(name)
        if version is None:
            return found[-1]
        for candidate in found:
            if candidate.version == version:
                return candidate
        known = [str(candidate.version) for candidate in found]
        raise UnknownNameError(f"version of '{name}'", str(version), known)


def _move(connection: Connection, name: str, version: int, action: str) -> EndpointTable:
    now = datetime.now(UTC)
    made = connection.execute(
        insert(schema.revisions).values(name=name, version=version, action=action, time=now)
    )
    (revision,) = made.inserted_primary_key or (0,)
    change = {"version": version, "revision": revision, "changed": now}
    query = select(schema.endpoints).where(schema.endpoints.c.name == name)
    current = connection.execute(query).first()
    if current is None:
        connection.execute(insert(schema.endpoints).values(name=name, **change))
    elif current.version != version:
        connection.execute(
            update(schema.endpoints)
            .where(schema.endpoints.c.name == name)
            .values(previous=current.version, **change)
        )
    return _table(connection)


def _table(connection: Connection) -> EndpointTable:
    revision = connection.scalar(select(func.max(schema.revisions.c.revision)))
    served = select(
        schema.endpoints.c.name, schema.endpoints.c.version, schema.versions.c.manifest
    ).join(
        schema.versions,
        (schema.versions.c.name == schema.endpoints.c.name)
        & (schema.versions.c.version == schema.endpoints.c.version),
    )
    rows = connection.execute(served.order_by(schema.endpoints.c.name))
    return EndpointTable(revision or 0, tuple(Route(*row) for row in rows))


def _endpoint_row(connection: Connection, name: str) -> "Row[Any]":
    query = select(schema.endpoints).where(schema.endpoints.c.name == name)
    row = connection.execute(query).first()
    if row is None:
        known = connection.scalars(select(schema.endpoints.c.name)).all()
        raise UnknownNameError("endpoint", name, known)
    return row


def _endpoint(row: "Row[Any]") -> Endpoint:
    return Endpoint(row.name, row.version, row.previous, row.revision, schema.aware(row.changed))


def _version(row: "Row[Any]") -> ModelVersion:
    manifest = Blob(row.manifest, row.manifest_size)
    return ModelVersion(row.name, row.version, manifest, schema.aware(row.created), row.summary)
