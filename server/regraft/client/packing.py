"""Data whose rows are files, as one Parquet file that can be sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regraft.data.cells import as_text
from regraft.data.contents import UnusableError, find_file
from regraft.data.reading import read_table
from regraft.data.table import Table
from regraft.domain import JSON
from regraft.errors import DataError, Problem
from regraft.settings import Settings

TOGETHER = 64
"""Rows that are in memory at a time."""


def packed(path: Path, task: JSON, column: str | None, target: Path) -> Path:
    """A Parquet file at `target` with the contents in place of the paths; `path` itself where there
    is nothing to put in place.

    `task` is the server's record of the task, `column` the input's if the user named it. Raises
    DataError with every file that cannot be found.
    """
    if path.suffix.lower() == ".parquet":
        return path
    table = read_table(str(path), path, Settings(), task["suffixes"])
    expected = task["columns"]["input"]
    found = column or next((name for name in table.names if name.casefold() in expected), None)
    if found not in table.names:
        return path
    _write(table, found, _places(table, found), target)
    return target


def _places(table: Table, column: str) -> list[Path | bytes]:
    places, problems = [], []
    for number, cell in enumerate(table.cells(column), 1):
        try:
            places.append(find_file(cell, table.folder))
        except UnusableError as error:
            problems.append(Problem(error.code, str(error), number))
    if problems:
        raise DataError(table.source, problems)
    return places


def _write(table: Table, column: str, places: list[Path | bytes], target: Path) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    kinds = {name: pyarrow.string() for name in table.names} | {column: pyarrow.large_binary()}
    others = {name: table.cells(name) for name in table.names if name != column}
    schema = pyarrow.schema(list(kinds.items()))
    with ParquetWriter(target, schema) as writer:
        for rows in _slices(len(places)):
            batch: dict[str, Any] = {
                name: [as_text(cell) for cell in cells[rows]] for name, cells in others.items()
            }
            batch[column] = [_content(place) for place in places[rows]]
            writer.write_table(pyarrow.table(batch, schema))


def _slices(rows: int) -> Iterator[slice]:
    return (slice(start, start + TOGETHER) for start in range(0, rows, TOGETHER))


def _content(place: Path | bytes) -> bytes:
    return place if isinstance(place, bytes) else place.read_bytes()
