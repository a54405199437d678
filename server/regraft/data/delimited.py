"""CSV and TSV as tables: RFC 4180 quotes, any line ends."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from regraft.data.encoding import TextFile, read_text
from regraft.data.table import Table
from regraft.errors import DataError, Problem

Row = list[str]


def read_csv(source: str, path: Path) -> Table:
    """A .csv file; the header line tells whether commas or semicolons separate the cells.

    Raises DataError: bad-encoding, bad-csv, ragged-row, no-rows.
    """
    file = read_text(source, path)
    return _table(file, max(",;", key=lambda mark: len(_header(file.text, mark))))


def read_tsv(source: str, path: Path) -> Table:
    """A .tsv file; errors as `read_csv`."""
    return _table(read_text(source, path), "\t")


def _table(file: TextFile, delimiter: str) -> Table:
    file.check_encoding(_records(file.text, delimiter, strict=False), first=0)
    header, *rows = _parse(file, delimiter)
    names = tuple(name.strip() for name in header)
    _check_widths(file.source, rows, len(names))

    def cells(name: str) -> list[str]:
        place = names.index(name)
        return [row[place] for row in rows]

    return Table(file.source, names, len(rows), cells)


def _records(text: str, delimiter: str, strict: bool) -> Iterator[Row]:
    # The limit on a cell is the whole process's; the size of the file is bounded already.
    csv.field_size_limit(2**31 - 1)
    lines = io.StringIO(text, newline="")
    return filter(None, csv.reader(lines, delimiter=delimiter, strict=strict))


def _header(text: str, delimiter: str) -> Row:
    return next(_records(text, delimiter, strict=False), [])


def _parse(file: TextFile, delimiter: str) -> list[Row]:
    rows: list[Row] = []
    try:
        for row in _records(file.text, delimiter, strict=True):
            rows.append(row)
    except csv.Error as error:
        message = f"{error}; a cell in quotes must be closed, and a quote inside it doubled"
        raise DataError(file.source, [Problem("bad-csv", message, len(rows) or None)]) from None
    if not rows:
        raise DataError(file.source, [Problem("no-rows", "the file is empty")])
    return rows


def _check_widths(source: str, rows: list[Row], width: int) -> None:
    problems = [
        Problem(
            "ragged-row",
            f"{len(row)} cells where the header has {width}; quote a cell with a separator in it",
            number,
        )
        for number, row in enumerate(rows, 1)
        if len(row) != width
    ]
    if problems:
        raise DataError(source, problems)
