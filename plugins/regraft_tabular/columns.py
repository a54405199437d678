"""Columns as numbers: what is learnt of them from training rows, and how a row is encoded."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regraft import Inputs

ABSENT = ("na", "n/a", "#n/a", "nan", "null", "none", "<na>", "?", "-")
"""How files spell, in capitals too, that a number is not known; in a category they are values."""
FRACTION = re.compile(r"-?(0|[1-9]\d*)\.\d+")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
MOST_VALUES = 50
"""Of a category; rarer values are encoded as none."""
NUMBERS = 0.95
"""A column with at least such a share of numbers is one of numbers; the rest of it is missing."""
FARTHEST = 10.0
"""Deviations from the mean, beyond which a number is brought back."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class TableInputs(Inputs):
    """`values` [batch, width]: the columns one after another, then zeros. A column is a record of
    its name and kind: of numbers with mean, deviation, whether some are missing, and what a comma
    stands for if there is one; of a category with its values."""

    columns: list[dict[str, Any]]
    width: int


def learn_columns(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What each column holds; those of one value, or of texts that all differ, are left out."""
    names = dict.fromkeys(name for row in rows for name in row)
    found = (_column(name, [row.get(name) for row in rows]) for name in names)
    return [column for column in found if column is not None]


def _column(name: str, cells: Sequence[Any]) -> dict[str, Any] | None:
    present = [cell for cell in cells if cell not in (None, "")]
    known = [cell for cell in present if str(cell).strip().lower() not in ABSENT]
    comma = _comma(known)
    numbers = [number for cell in known if (number := as_number(cell, comma)) is not None]
    if known and len(numbers) >= NUMBERS * len(known):
        column = _numbers(name, np.array(numbers), len(numbers) < len(cells))
        return column if column is None or comma is None else {**column, "comma": comma}
    counts = Counter(spelt(cell) for cell in present)
    telling = len(counts) > 1 and (len(counts) < len(present) or len(counts) <= 2)
    if not telling:
        return None
    kept = sorted(value for value, _ in counts.most_common(MOST_VALUES))
    return {"name": name, "kind": "category", "values": kept}


def _comma(cells: Sequence[Any]) -> str | None:
    """What a comma in a number stands for: nothing, between thousands, or a point; None where no
    cell has one."""
    texts = [cell.strip() for cell in cells if isinstance(cell, str) and "," in cell]
    if not texts:
        return None
    return "" if all(THOUSANDS.fullmatch(text) for text in texts) else "."


def _numbers(name: str, values: Any, missing: bool) -> dict[str, Any] | None:
    deviation = float(values.std())
    if deviation == 0:
        return None
    mean = float(values.mean())
    return {
        "name": name,
        "kind": "number",
        "mean": mean,
        "deviation": deviation,
        "missing": missing,
    }


def spelt(cell: Any) -> str:
    """One text for equal values, from a file or from JSON: true, 2, a text in NFC without spaces
    around it."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = unicodedata.normalize("NFC", str(cell)).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    return spelt(float(text)) if isinstance(cell, str) and FRACTION.fullmatch(text) else text


def as_number(cell: Any, comma: str | None = None) -> float | None:
    """A finite number, or None; in a text this stands for each comma."""
    if isinstance(cell, bool):
        return float(cell)
    if isinstance(cell, str) and comma is not None:
        cell = cell.replace(",", comma)
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None


def size_of(columns: Sequence[Mapping[str, Any]]) -> int:
    """How many numbers a row becomes."""
    return sum(
        len(column["values"]) if column["kind"] == "category" else 1 + column["missing"]
        for column in columns
    )


def encode(rows: Sequence[Row], columns: Sequence[Mapping[str, Any]], width: int) -> Any:
    """[N, width] float32."""
    values = np.zeros((len(rows), width), np.float32)
    start = 0
    for column in columns:
        cells = [row.get(column["name"]) for row in rows]
        block = _category(cells, column) if column["kind"] == "category" else _number(cells, column)
        values[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return values


def _number(cells: Sequence[Any], column: Mapping[str, Any]) -> Any:
    """Standardised, and 1 where it is missing."""
    comma = column.get("comma")
    numbers = np.array([np.nan if (n := as_number(cell, comma)) is None else n for cell in cells])
    scaled = np.nan_to_num((numbers - column["mean"]) / column["deviation"])
    parts = [np.clip(scaled, -FARTHEST, FARTHEST)]
    if column["missing"]:
        parts.append(np.isnan(numbers).astype(float))
    return np.stack(parts, 1)


def _category(cells: Sequence[Any], column: Mapping[str, Any]) -> Any:
    known = {spelt(value): position for position, value in enumerate(column["values"])}
    block = np.zeros((len(cells), len(known)))
    for row, cell in enumerate(cells):
        if spelt(cell) in known:
            block[row, known[spelt(cell)]] = 1
    return block
