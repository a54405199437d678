"""Reads a file of a supported format as a table."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from regraft.data.delimited import read_csv, read_tsv
from regraft.data.folders import read_folder
from regraft.data.jsonl import read_jsonl
from regraft.data.parquet import read_parquet
from regraft.data.table import Table, check_shape
from regraft.domain import UPLOADED
from regraft.errors import DataError, Problem
from regraft.settings import Settings

READERS: dict[str, Callable[[str, Path], Table]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def read_table(
    source: str,
    path: Path,
    settings: Settings,
    suffixes: Sequence[str] = (),
    labelled: bool = True,
) -> Table:
    """The table in the file at `path`, its format told by the suffix; where rows are files with one
    of `suffixes`, also a folder that has a folder of them for each class, or, unless `labelled`,
    them themselves.

    `source` names the file in errors. Raises DataError: missing-file, unreadable-file, too-large,
    unsupported-format, too-many-rows, and what the format's reader raises.
    """
    try:
        if suffixes and path.is_dir():
            table = read_folder(source, path, suffixes, labelled)
        else:
            _check_file(source, path, settings.max_upload)
            table = _reader(source, path)(source, path)
            if not source.startswith(UPLOADED):
                table = replace(table, folder=path.parent)
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror or error}"
        raise DataError(source, [Problem("unreadable-file", reason)]) from error
    check_shape(table, settings.max_rows)
    return table


def _reader(source: str, path: Path) -> Callable[[str, Path], Table]:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(source, [Problem("unsupported-format", _unsupported(path))])
    return reader


def _check_file(source: str, path: Path, max_size: int) -> None:
    if not path.is_file():
        reason = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise DataError(source, [Problem("missing-file", f"{path} {reason}")])
    size = path.stat().st_size
    if size > max_size:
        message = f"{size:,} bytes; the limit is {max_size:,} (REGRAFT_MAX_UPLOAD)"
        raise DataError(source, [Problem("too-large", message)])


def _unsupported(path: Path) -> str:
    supported = f"supported: {', '.join(READERS)}"
    if path.suffix.lower() == ".gz":
        return f"compressed files (.gz) are not supported, decompress it first; {supported}"
    return f"files of the kind '{path.suffix or path.name}' are not supported; {supported}"
