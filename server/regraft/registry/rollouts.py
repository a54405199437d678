"""What an endpoint is besides its version: the version that is tried beside it, where it answers,
and how it came to be so."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, update

from regraft.domain import Change, Endpoint, Mode, Placement
from regraft.errors import ConflictError, InvalidInputError
from regraft.identity.caller import EVERYTHING, View
from regraft.registry import schema
from regraft.registry.endpoint_rows import (
    check_match,
    check_verdict,
    check_version,
    current_table,
    end_trial,
    endpoint_row,
    read_endpoint,
    record,
)
from regraft.registry.owners import check_seen


class RolloutRegistry:
    """Each change is one transaction and then one new table file, as `ModelRegistry` makes them."""

    def __init__(self, engine: Engine, tables: Path, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.view = view
        self.reading = schema.reader(engine)
        self.tables = tables

    def try_out(
        self,
        name: str,
        version: int,
        mode: Mode,
        share: float,
        force: bool = False,
        match: str | None = None,
    ) -> Endpoint:
        """Try a version beside the one that answers, in the place of any that is tried now.

        ConflictError if it answers already, or if its verdict is negative, unless `force`;
        ChangedError if the endpoint has another tag than `match`.
        """
        if not 0 < share <= 1:
            raise InvalidInputError(f"The share must be above 0 and at most 1, not {share:g}.")
        with self.engine.begin() as connection:
            check_seen(connection, "endpoint", name, self.view)
            check_match(connection, name, match)
            row = endpoint_row(connection, name)
            check_version(connection, name, version, self.view)
            if not force:
                check_verdict(connection, name, version)
            if row.version == version:
                raise ConflictError(f"Version {version} of '{name}' answers already.")
            end_trial(connection, name)
            values = {"version": version, "mode": mode, "share": share, "since": datetime.now(UTC)}
            connection.execute(insert(schema.trials).values(name=name, **values))
            record(connection, name, version, mode)
        return self._published(name)

    def place(self, name: str, wanted: Placement, match: str | None = None) -> Endpoint:
        """Where the endpoint shall answer; who reconciles makes it so, and tells by `settle`."""
        with self.engine.begin() as connection:
            check_seen(connection, "endpoint", name, self.view)
            check_match(connection, name, match)
            row = endpoint_row(connection, name)
            _upsert(connection, name, wanted=wanted.model_dump(), waiting=None)
            record(connection, name, row.version, "place")
        return self._published(name)

    def settle(self, name: str, placed: bool, waiting: str | None = None) -> None:
        """Tell whether the endpoint's own replicas answer, or else what is waited for."""
        with self.engine.begin() as connection:
            before = read_endpoint(connection, name)
            if (before.placed, before.waiting) == (placed, waiting):
                return
            _upsert(connection, name, placed=placed, waiting=waiting)
            if before.placed != placed:
                where = "its own replicas" if placed else "the shared pool"
                record(connection, name, before.version, "placed", f"It answers from {where}.")
        self._published(name)

    def history(self, name: str) -> list[Change]:
        """All changes of an endpoint, the newest first."""
        revisions, reasons = schema.revisions.c, schema.reasons.c
        query = (
            select(schema.revisions, reasons.reason)
            .join(schema.reasons, reasons.revision == revisions.revision, isouter=True)
            .where(revisions.name == name)
            .order_by(revisions.revision.desc())
        )
        with self.reading.begin() as connection:
            check_seen(connection, "endpoint", name, self.view)
            endpoint_row(connection, name)
            return [
                Change(row.revision, row.version, row.action, schema.aware(row.time), row.reason)
                for row in connection.execute(query)
            ]

    def _published(self, name: str) -> Endpoint:
        with self.reading.begin() as connection:
            endpoint, table = read_endpoint(connection, name), current_table(connection)
        table.write(self.tables)
        return endpoint


def _upsert(connection: Connection, name: str, **values: object) -> None:
    found = connection.execute(
        update(schema.placements).where(schema.placements.c.name == name).values(**values)
    )
    if not found.rowcount:
        defaults = {"wanted": Placement().model_dump(), "placed": False}
        connection.execute(insert(schema.placements).values(name=name, **{**defaults, **values}))
