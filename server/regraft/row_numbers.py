"""Columns that tell where a row stands in its file."""

from collections.abc import Sequence
from typing import Any

LEAST = 5
"""Rows from which a column of 1, 2, 3, … is one of their numbers."""


def numbers_rows(name: str, cells: Sequence[Any]) -> bool:
    """Whether a column is an index that was written beside the data: it has no name, or counts the
    rows from 0 or 1. Where rows are sorted by their label it would give that away."""
    if not name:
        return True
    if len(cells) < LEAST or _whole(cells[0]) not in ("0", "1"):
        return False
    start = int(_whole(cells[0]))
    return all(_whole(cell) == str(number) for number, cell in enumerate(cells, start))


def _whole(cell: Any) -> str:
    return str(cell).strip().removesuffix(".0")
