"""Predictions that were made, and the true labels that came back for them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

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


class Judged(NamedTuple):
    """Predictions whose true label came back, and how many of them were right."""

    labels: int
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

    def judged(self, endpoint: str, since: datetime | None = None) -> dict[int, Judged]:
        """By version, of the predictions that are kept, or were made `since` then."""
        with self.reading.begin() as connection:
            check_seen(connection, "endpoint", endpoint, self.view)
            endpoint_row(connection, endpoint)
            return _judged(connection, endpoint, since)

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
            judged = _judged(connection, endpoint)
            return [
                Live(
                    version,
                    _predicted(connection, endpoint, version),
                    *judged.get(version, Judged(0, 0)),
                )
                for version in versions.all()
            ]


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


def _predicted(connection: Connection, endpoint: str, version: int) -> dict[str, int]:
    """The labels of the newest predictions, and their counts."""
    made = schema.predictions.c
    of = and_(made.endpoint == endpoint, made.version == version)
    newest = select(made.label).where(of).order_by(made.number.desc()).limit(RECENT).subquery()
    labels = select(newest.c.label, func.count().label("times")).group_by(newest.c.label)
    return {row.label: row.times for row in connection.execute(labels)}


def _judged(
    connection: Connection, endpoint: str, since: datetime | None = None
) -> dict[int, Judged]:
    """A true label counts once, for the last of its predictions: a request may have been answered
    more than once, and clients may give all of theirs one id."""
    made, true, other = schema.predictions, schema.feedback.c, schema.predictions.alias()
    last = select(func.max(other.c.number)).where(
        other.c.endpoint == true.endpoint,
        other.c.request == true.request,
        other.c.row == true.row,
    )
    if since is not None:
        last = last.where(other.c.time >= since)
    hits = func.sum((made.c.label == true.label).cast(Integer))
    query = (
        select(made.c.version, func.count(), hits)
        .select_from(schema.feedback.join(made, made.c.number == last.scalar_subquery()))
        .where(true.endpoint == endpoint)
        .group_by(made.c.version)
    )
    return {version: Judged(count, right) for version, count, right in connection.execute(query)}
