"""Rows that are files: found, checked and hashed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.data.table import Table
from regraft.domain import Contents
from regraft.errors import Problem


@dataclass(frozen=True)
class Found:
    """The contents of a column, their SHA-256, and what is wrong with some of them."""

    contents: Contents
    keys: tuple[str, ...]
    problems: tuple[Problem, ...]


Check = Callable[[bytes], str | None]


def read_contents(table: Table, column: str, check: Check, largest: int) -> Found:
    """The files that a column names, by paths within the table's folder, or holds as bytes; none
    has more bytes than `largest`.

    Problems: empty-input, missing-file, outside-file, too-large, unusable-input.
    """
    places: list[Path | bytes] = []
    keys, problems = [], []
    for number, cell in enumerate(table.cells(column), 1):
        try:
            place = find_file(cell, table.folder)
            content = _checked(place, check, largest)
        except UnusableError as error:
            problems.append(Problem(error.code, str(error), number))
            continue
        places.append(place)
        keys.append(hashlib.sha256(content).hexdigest())
    return Found(Contents(tuple(places)), tuple(keys), tuple(problems))


class UnusableError(Exception):
    """Why a row cannot be used."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def find_file(cell: Any, folder: Path | None) -> Path | bytes:
    """The file that a cell names, which lies in `folder`, or the content that it holds. Without a
    folder only contents are taken: the table came over the network.

    Raises UnusableError: empty-input, missing-file, outside-file.
    """
    if isinstance(cell, bytes):
        return cell
    if not isinstance(cell, str) or not cell.strip():
        raise UnusableError(
            "empty-input", "the input is neither the path of a file nor its content"
        )
    if folder is None:
        raise UnusableError("outside-file", "the input is a path: send the content, as Parquet can")
    root = folder.resolve()
    try:
        exact = (root / cell).resolve()
        path = exact if exact.is_file() else (root / cell.strip()).resolve()
        found = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise UnusableError("missing-file", f"no such path: {error}") from error
    if not path.is_relative_to(root):
        raise UnusableError("outside-file", f"'{cell}' lies outside the folder of the table")
    if not found:
        raise UnusableError("missing-file", f"there is no file '{cell}'")
    return path


def _checked(place: Path | bytes, check: Check, largest: int) -> bytes:
    try:
        size = len(place) if isinstance(place, bytes) else place.stat().st_size
        if size > largest:
            message = f"{size:,} bytes; the limit for a file is {largest:,}"
            raise UnusableError("too-large", message)
        content = place if isinstance(place, bytes) else place.read_bytes()
    except OSError as error:
        message = f"{place!s} cannot be read: {error.strerror or error}"
        raise UnusableError("missing-file", message) from error
    reason = check(content) if content else "the file is empty"
    if reason is not None:
        raise UnusableError("unusable-input", reason)
    return content
