"""A table: named columns of one file, before anything is known of their meaning."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.errors import DataError, Problem


@dataclass(frozen=True)
class Table:
    """Named columns of `height` cells each; row numbers count from 1.

    `cells(name)` gives one column as Python values. `source` is what error messages call the file.
    Paths in a cell are relative to `folder`; without one a cell may name no file.
    """

    source: str
    names: tuple[str, ...]
    height: int
    cells: Callable[[str], Sequence[Any]]
    folder: Path | None = None


def check_shape(table: Table, max_rows: int) -> None:
    """Raises DataError for a table without rows, with too many, or with a column name twice."""
    twice = [name for name, count in Counter(table.names).items() if count > 1]
    if twice:
        named = ", ".join(f"'{name}'" for name in twice)
        problem = Problem("ambiguous-columns", f"more than one column is called {named}")
        raise DataError(table.source, [problem])
    if not table.height:
        raise DataError(table.source, [Problem("no-rows", "there are no data rows")])
    if table.height > max_rows:
        message = f"{table.height:,} rows; the limit is {max_rows:,} (REGRAFT_MAX_ROWS)"
        raise DataError(table.source, [Problem("too-many-rows", message)])
