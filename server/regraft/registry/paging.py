"""Long lists, a page at a time. A page begins behind the last row of the one before, whose keys are
its cursor: what is added or deleted meanwhile lets nothing be told twice or left out."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Connection, Row, Select, and_, false, or_

from regraft.errors import InvalidInputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Window:
    """How many rows are wanted, and behind which; all of them unless it is told."""

    limit: int | None = None
    cursor: str | None = None


WHOLE = Window()


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some rows; `next` is the cursor of those behind them, None if there are none."""

    items: list[Item]
    next: str | None = None


@dataclass(frozen=True)
class Order:
    """Columns that together tell any two rows apart, ascending, or all descending."""

    columns: Sequence[Column[Any]]
    descending: bool = False

    def page(
        self,
        connection: Connection,
        query: "Select[Any]",
        window: Window,
        item: Callable[[Row[Any]], Item],
    ) -> Page[Item]:
        """The rows of this query that are wanted, in this order."""
        query = query.order_by(*(c.desc() if self.descending else c for c in self.columns))
        if window.cursor is not None:
            query = query.where(self._behind(_decoded(window.cursor, self.columns)))
        if window.limit is None:
            return Page([item(row) for row in connection.execute(query)])
        rows = connection.execute(query.limit(window.limit + 1)).all()
        found = rows[: window.limit]
        more = len(rows) > window.limit
        return Page([item(row) for row in found], self._cursor(found[-1]) if more else None)

    def _behind(self, values: Sequence[Any]) -> Any:
        found: Any = false()
        for column, value in reversed(list(zip(self.columns, values, strict=True))):
            further = column < value if self.descending else column > value
            found = or_(further, and_(column == value, found))
        return found

    def _cursor(self, row: Row[Any]) -> str:
        values = [getattr(row, column.name) for column in self.columns]
        plain = [v.isoformat() if isinstance(v, datetime) else v for v in values]
        return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode()


def _decoded(cursor: str, columns: Sequence[Column[Any]]) -> list[Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        return [_typed(v, c) for v, c in zip(values, columns, strict=True)]
    except (ValueError, TypeError) as error:
        raise InvalidInputError("The cursor is none that a list of this kind gave.") from error


def _typed(value: Any, column: Column[Any]) -> Any:
    kind = column.type.python_type
    found = datetime.fromisoformat(value) if kind is datetime else value
    if not isinstance(found, kind) or (kind is int and not 0 <= found < 2**63):
        raise ValueError(value)
    return found
