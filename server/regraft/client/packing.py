"""Data whose rows are files, as one Parquet file that can be sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.contract import Columns
from regraft.data.cells import as_text
from regraft.data.columns import choose_columns
from regraft.data.contents import UnusableError, find_file
from regraft.data.reading import read_table
from regraft.data.table import Table
from regraft.domain import JSON, AdaptationSpec
from regraft.errors import DataError, Problem
from regraft.settings import Settings

TOGETHER = 64
"""Rows that are in memory at a time."""


@dataclass(frozen=True)
class Packing:
    """How files go into a table: the server's record of the task, and the columns of the input and
    the label."""

    task: JSON
    column: str | None
    label: str | None = None

    @classmethod
    def of(cls, task: JSON, spec: AdaptationSpec, data: Path | None) -> "Packing":
        """The columns as they would be chosen on this machine, from DATA if it is a local file."""
        if data is None:
            return cls(task, spec.input_column, spec.label_column)
        table = read_table(str(data), data, Settings(), task["suffixes"])
        columns = Columns(*(tuple(task["columns"][role]) for role in ("input", "label")))
        chosen = choose_columns(table, columns, spec)
        return cls(task, chosen.input, chosen.label)

    def packed(self, path: Path, target: Path, labelled: bool = True) -> Path:
        """A Parquet file at `target` with contents in place of paths; `path` itself where there are
        none. Raises DataError with every file that cannot be found or read."""
        table = read_table(str(path), path, Settings(), self.task["suffixes"], labelled)
        found = {name: _places(table, name) for name in self._columns(table)}
        if all(isinstance(place, bytes) for places in found.values() for place in places):
            return path
        try:
            _write(table, found, target)
        except (OSError, UnicodeError) as error:
            problem = Problem("unreadable-file", f"a file or a name cannot be read: {error}")
            raise DataError(str(path), [problem]) from error
        return target

    def _columns(self, table: Table) -> list[str]:
        """Those whose cells are files, as far as the table has them."""
        roles = [("input", self.column)]
        roles += [("label", self.label)] if self.task["label_suffixes"] else []
        names = [name or self._expected(table, role) for role, name in roles]
        return [name for name in names if name in table.names]

    def _expected(self, table: Table, role: str) -> str:
        expected = self.task["columns"][role]
        return next((name for name in table.names if name.casefold() in expected), "")


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


def _write(table: Table, files: dict[str, list[Path | bytes]], target: Path) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    binary = dict.fromkeys(files, pyarrow.large_binary())
    kinds = {name: pyarrow.string() for name in table.names} | binary
    others = {name: table.cells(name) for name in table.names if name not in files}
    schema = pyarrow.schema(list(kinds.items()))
    with ParquetWriter(target, schema) as writer:
        for rows in _slices(table.height):
            batch: dict[str, Any] = {
                name: [as_text(cell) for cell in cells[rows]] for name, cells in others.items()
            }
            for name, places in files.items():
                batch[name] = [_content(place) for place in places[rows]]
            writer.write_table(pyarrow.table(batch, schema))


def _slices(rows: int) -> Iterator[slice]:
    return (slice(start, start + TOGETHER) for start in range(0, rows, TOGETHER))


def _content(place: Path | bytes) -> bytes:
    return place if isinstance(place, bytes) else place.read_bytes()
