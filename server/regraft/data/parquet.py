"""Parquet as a table; only the columns that are asked for are read."""

from pathlib import Path
from typing import Any

from regraft.data.table import Table
from regraft.errors import DataError, Problem

LARGEST = 4 * 2**30
"""Bytes of a decoded column."""
BATCH = 10_000
"""Rows that are decoded at a time."""


def read_parquet(source: str, path: Path, largest: int = LARGEST) -> Table:
    """A .parquet file; raises DataError (bad-parquet), from `cells` too, and from there where a
    column is of more than `largest` bytes once it is decoded (too-large)."""
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
            return _decoded(source, path, name, largest)
        except DataError:
            raise
        except failures as error:
            raise _unreadable(source, error) from None

    return Table(source, tuple(file.schema_arrow.names), file.metadata.num_rows, cells)


def _decoded(source: str, path: Path, name: str, largest: int) -> list[Any]:
    """The values of a column. A file may hold a thousand times more than its size: what it declares
    is looked at first, then each batch, as it is encoded, before it becomes Python's objects."""
    import pyarrow.parquet

    # Read as a dictionary, text that repeats itself is in memory once.
    file = pyarrow.parquet.ParquetFile(path, read_dictionary=[name])
    groups = map(file.metadata.row_group, range(file.num_row_groups))
    size = sum(_declared(group, name) for group in groups)
    values: list[Any] = []
    if size <= 2 * largest:  # it counts what the pages say of themselves too
        size = 0
        for batch in file.iter_batches(BATCH, columns=[name]):
            size += _bytes(batch.column(0))
            if size > largest:
                break
            values.extend(batch.column(0).to_pylist())
    if size > largest:
        reason = f"the column '{name}' is larger than {largest:,} bytes once it is decoded"
        raise DataError(source, [Problem("too-large", reason)])
    return values


def _declared(group: Any, name: str) -> int:
    """The bytes that a row group says that it takes to decode the column."""
    columns = (group.column(number) for number in range(group.num_columns))
    return sum(c.total_uncompressed_size for c in columns if c.path_in_schema.split(".")[0] == name)


def _bytes(column: Any) -> int:
    """What the values take once each is an object of its own, their objects aside."""
    import pyarrow
    import pyarrow.compute

    if not pyarrow.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pyarrow.compute.binary_length(column.dictionary)
    return pyarrow.compute.sum(lengths.take(column.indices)).as_py() or 0


def _unreadable(source: str, error: Exception) -> DataError:
    return DataError(source, [Problem("bad-parquet", f"the file cannot be read: {error}")])
