"""Predictions that were made, and the true labels that came back for them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Integer, and_, delete, func, insert, select, update

from regraft.domain import JSON
from regraft.identity.caller import EVERYTHING, View
from regraft.registry import schema
from regraft.registry.endpoint_rows import endpoint_row
from regraft.registry.owners import check_seen

KEPT = 100_000
"""Predictions of an endpoint that are kept, the newest."""
TOO_MANY = 0.25
"""How many more there may be for a while, as a share: to forget them reads all that are kept."""
RECENT = 2_000
"""The newest predictions of a version, of which it is told what it predicts."""


@dataclass(frozen=True)
class Live:
    """How a version does while it answers: of the newest predictions the labels and their counts;
    of those whose true label came back how many were right."""

    version: int
    predicted: dict[str, int]
    judged: int
    right: int


@dataclass(frozen=True)
class TrueLabel:
    """What one row of a request should have been answered with."""

    request: str
    label: str
    row: int = 0


class FeedbackRegistry:
    """`ingest` takes in what replicas left in the folder; one process does so at a time."""

    def __init__(self, engine: Engine, folder: Path, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.view = view
        self.reading = schema.reader(engine)
        self.folder = folder
        self.grown: Counter[str] = Counter()

    def ingest(self) -> int:
        """Take in what replicas left, and let the oldest go; how many predictions there were."""
        files = sorted(self.folder.glob("*.jsonl"))
        rows = [row for path in files for row in _rows(path)]
        if rows:
            with self.engine.begin() as connection:
                connection.execute(insert(schema.predictions), rows)
                for endpoint in self._grown(row["endpoint"] for row in rows):
                    _forget(connection, endpoint)
        for path in files:
            path.unlink(missing_ok=True)
        return len(rows)

    def _grown(self, endpoints: Iterable[str]) -> list[str]:
        """Those that got so many predictions since they were last looked at that the oldest may
        have to go: to find these reads as many rows as are kept."""
        self.grown.update(endpoints)
        found = [endpoint for endpoint, count in self.grown.items() if count >= KEPT * TOO_MANY]
        for endpoint in found:
            del self.grown[endpoint]
        return found

    def add(self, endpoint: str, labels: Sequence[TrueLabel]) -> int:
        """Keep true labels, also of requests whose predictions are still on their way; a label that
        comes again replaces the first. How many predictions they are known to belong to."""
        table, now = schema.feedback, datetime.now(UTC)
        with self.engine.begin() as connection:
            check_seen(connection, "endpoint", endpoint, self.view)
            endpoint_row(connection, endpoint)
            for one in labels:
                key = {"endpoint": endpoint, "request": one.request, "row": one.row}
                same = and_(*(table.c[name] == value for name, value in key.items()))
                values = {"label": one.label, "time": now}
                found = connection.execute(update(table).where(same).values(**values))
                if not found.rowcount:
                    connection.execute(insert(table).values(**key, **values))
            requests = {one.request for one in labels}
            predictions = schema.predictions.c
            return (
                connection.scalar(
                    select(func.count(func.distinct(predictions.request))).where(
                        predictions.endpoint == endpoint, predictions.request.in_(requests)
                    )
                )
                or 0
            )

    def live(self, endpoint: str) -> list[Live]:
        """How each version does of which predictions are kept, the newest version first."""
        with self.reading.begin() as connection:
            check_seen(connection, "endpoint", endpoint, self.view)
            endpoint_row(connection, endpoint)
            versions = connection.scalars(
                select(schema.predictions.c.version)
                .where(schema.predictions.c.endpoint == endpoint)
                .distinct()
                .order_by(schema.predictions.c.version.desc())
            )
            return [_live(connection, endpoint, version) for version in versions.all()]


def _rows(path: Path) -> Iterator[JSON]:
    for line in filter(None, path.read_bytes().split(b"\n")):
        row: dict[str, Any] = json.loads(line)
        yield {**row, "time": datetime.fromtimestamp(row["time"], UTC)}


def _forget(connection: Connection, endpoint: str) -> None:
    """The oldest predictions, and the true labels that are as old."""
    number, of = schema.predictions.c.number, schema.predictions.c.endpoint == endpoint
    newest = select(number).where(of).order_by(number.desc()).offset(KEPT).limit(1)
    last = connection.scalar(newest)
    if last is None:
        return
    when = connection.scalar(select(schema.predictions.c.time).where(number == last))
    connection.execute(delete(schema.predictions).where(of, number <= last))
    table = schema.feedback
    connection.execute(delete(table).where(table.c.endpoint == endpoint, table.c.time <= when))


def _live(connection: Connection, endpoint: str, version: int) -> Live:
    made, true = schema.predictions, schema.feedback
    of = and_(made.c.endpoint == endpoint, made.c.version == version)
    newest = select(made.c.label).where(of).order_by(made.c.number.desc()).limit(RECENT).subquery()
    labels = select(newest.c.label, func.count().label("times")).group_by(newest.c.label)
    predicted = {row.label: row.times for row in connection.execute(labels)}
    same = and_(
        true.c.endpoint == made.c.endpoint,
        true.c.request == made.c.request,
        true.c.row == made.c.row,
    )
    hits = func.sum((made.c.label == true.c.label).cast(Integer))
    joined = select(func.count(), hits).select_from(made.join(true, same)).where(of)
    judged, right = connection.execute(joined).one()
    return Live(version, predicted, judged, int(right or 0))
