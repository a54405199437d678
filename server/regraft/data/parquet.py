"""Parquet as a table; only the columns that are asked for are read."""

from pathlib import Path
from typing import Any

from regraft.data.table import Table
from regraft.errors import DataError, Problem


def read_parquet(source: str, path: Path) -> Table:
    """A .parquet file; raises DataError (bad-parquet), from `cells` too."""
    import pyarrow
    import pyarrow.parquet

    # ValueError: text that is not UTF-8.
    failures = (pyarrow.ArrowException, OSError, ValueError)
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except failures as error:
        raise _unreadable(source, error) from None

    def cells(name: str) -> list[Any]:
        try:
            column: list[Any] = file.read(columns=[name]).column(name).to_pylist()
        except failures as error:
            raise _unreadable(source, error) from None
        return column

    return Table(source, tuple(file.schema_arrow.names), file.metadata.num_rows, cells)


def _unreadable(source: str, error: Exception) -> DataError:
    return DataError(source, [Problem("bad-parquet", f"the file cannot be read: {error}")])
