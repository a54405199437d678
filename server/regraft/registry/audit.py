"""Who asked for which change, and how it ended, as rows."""

from datetime import UTC, datetime

from sqlalchemy import Engine, insert, select

from regraft.domain import JSON
from regraft.identity.caller import EVERYTHING, Caller, View
from regraft.registry.schema import audit, aware, reader

LONGEST = 255


class AuditLog:
    """Rows are only ever added."""

    def __init__(self, engine: Engine, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.reading = reader(engine)
        self.view = view

    def record(self, caller: Caller | None, action: str, status: int) -> None:
        """`caller` is None where nobody known asked; `action` is a method and a path."""
        row = {
            "time": datetime.now(UTC),
            "caller": caller.id[:LONGEST] if caller else "unknown",
            "project": caller.project if caller else "",
            "action": action[:LONGEST],
            "status": status,
        }
        with self.engine.begin() as connection:
            connection.execute(insert(audit).values(**row))

    def newest(self, limit: int = 100, before: int | None = None) -> list[JSON]:
        """The newest records that are seen, or the newest of those numbered below `before`."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        if not self.view.everywhere:
            query = query.where(audit.c.project == self.view.project)
        with self.reading.begin() as connection:
            return [
                {**row._asdict(), "time": aware(row.time).isoformat()}
                for row in connection.execute(query)
            ]
