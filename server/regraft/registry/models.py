"""Model versions and endpoints: publish, promote, roll back, list."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, func, insert, select

from regraft.domain import JSON, Blob, Endpoint, ModelVersion
from regraft.errors import ConflictError, UnknownNameError
from regraft.identity.caller import EVERYTHING, View
from regraft.registry import schema
from regraft.registry.endpoint_rows import (
    check_match,
    check_verdict,
    check_version,
    current_table,
    end_trial,
    move,
    read_endpoint,
    read_endpoints,
    record,
)
from regraft.registry.endpoint_table import revisions
from regraft.registry.owners import check_seen, claim, seen
from regraft.registry.paging import WHOLE, Order, Page, Window

BY_NAME = Order((schema.versions.c.name, schema.versions.c.version))


class ModelRegistry:
    """Versions are appended; an endpoint points at one of them. Each change of an endpoint is one
    transaction and then one new table file; `synchronise` writes a file that a crash kept back."""

    def __init__(self, engine: Engine, tables: Path, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.view = view
        self.reading = schema.reader(engine)
        self.tables = tables

    def publish(self, name: str, manifest: Blob, summary: JSON, promote: bool) -> ModelVersion:
        """The next version of `name`; its blobs must be stored already. An adaptation makes one at
        most: published again, when it went on after an interruption, it gives the first."""
        now = datetime.now(UTC)
        with self.engine.begin() as connection:
            claim(connection, name, self.view)
            made = _made_by(connection, name, summary.get("adaptation"))
            if made is not None:
                return made
            version = _last(connection, name) + 1
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
            table = move(connection, name, version, "publish") if promote else None
        if table is not None:
            table.write(self.tables)
        return ModelVersion(name, version, manifest, now, summary)

    def promote(
        self, name: str, version: int, force: bool = False, match: str | None = None
    ) -> Endpoint:
        """Point the endpoint at this version; ConflictError if its verdict is negative, unless
        `force`; ChangedError if the endpoint has another tag than `match`."""
        with self.engine.begin() as connection:
            check_seen(connection, "model", name, self.view)
            check_match(connection, name, match)
            check_version(connection, name, version, self.view)
            if not force:
                check_verdict(connection, name, version)
            table = move(connection, name, version, "promote")
        table.write(self.tables)
        return self.endpoint(name)

    def roll_back(
        self,
        name: str,
        expected: int | None = None,
        reason: str | None = None,
        match: str | None = None,
    ) -> Endpoint:
        """End the trial of a version, or else let the version answer that did before.

        Where the version `expected` neither answers nor is tried nothing changes, so that a request
        may be repeated: its own first try, or somebody else, has moved the endpoint already.
        """
        with self.engine.begin() as connection:
            check_seen(connection, "endpoint", name, self.view)
            check_match(connection, name, match)
            _step_back(connection, read_endpoint(connection, name), expected, reason)
        # The first try may have been ended between its transaction and its file.
        self.synchronise()
        return self.endpoint(name)

    def synchronise(self) -> int:
        """Write the current table if its file is missing; its revision."""
        with self.reading.begin() as connection:
            table = current_table(connection)
        if table.revision not in revisions(self.tables):
            table.write(self.tables)
        return table.revision

    def endpoint(self, name: str) -> Endpoint:
        with self.reading.begin() as connection:
            check_seen(connection, "endpoint", name, self.view)
            return read_endpoint(connection, name)

    def endpoint_page(self, window: Window) -> Page[Endpoint]:
        """Endpoints, by name."""
        with self.reading.begin() as connection:
            return read_endpoints(connection, self.view, window)

    def endpoints(self) -> list[Endpoint]:
        return self.endpoint_page(WHOLE).items

    def page(self, window: Window) -> Page[ModelVersion]:
        """Versions, by name and number."""
        with self.reading.begin() as connection:
            return BY_NAME.page(connection, self._seen(), window, _version)

    def versions(self, name: str | None = None) -> list[ModelVersion]:
        """All versions, or those of one model, which then must exist."""
        if name is None:
            return self.page(WHOLE).items
        query = self._seen().where(schema.versions.c.name == name)
        with self.reading.begin() as connection:
            found = BY_NAME.page(connection, query, WHOLE, _version).items
        if not found:
            raise UnknownNameError("model", name, {version.name for version in self.versions()})
        return found

    def _seen(self) -> Select[Any]:
        return select(schema.versions).where(seen(self.view, schema.versions.c.name))

    def version(self, name: str, version: int | None = None) -> ModelVersion:
        """One version of a model; the newest unless it is named."""
        found = self.versions(name)
        if version is None:
            return found[-1]
        for candidate in found:
            if candidate.version == version:
                return candidate
        known = [str(candidate.version) for candidate in found]
        raise UnknownNameError("version", str(version), known, name)


def _last(connection: Connection, name: str) -> int:
    """The highest number that a version has, or had before it was deleted."""
    tables = (schema.versions, schema.revisions)
    numbers = (
        connection.scalar(select(func.max(table.c.version)).where(table.c.name == name))
        for table in tables
    )
    return max(number or 0 for number in numbers)


def _made_by(connection: Connection, name: str, adaptation: str | None) -> ModelVersion | None:
    rows = connection.execute(select(schema.versions).where(schema.versions.c.name == name))
    same = (row for row in rows if adaptation and row.summary.get("adaptation") == adaptation)
    return next((_version(row) for row in same), None)


def _step_back(
    connection: Connection, endpoint: Endpoint, expected: int | None, reason: str | None
) -> None:
    name, trial, action = endpoint.name, endpoint.trial, "rollback"
    if trial is not None and expected in (None, trial.version):
        end_trial(connection, name)
        record(connection, name, endpoint.version, action, reason)
    elif expected in (None, endpoint.version):
        if endpoint.previous is None:
            raise ConflictError(f"The endpoint '{name}' has no earlier version to go back to.")
        move(connection, name, endpoint.previous, action, reason)


def _version(row: "Row[Any]") -> ModelVersion:
    manifest = Blob(row.manifest, row.manifest_size)
    return ModelVersion(row.name, row.version, manifest, schema.aware(row.created), row.summary)
