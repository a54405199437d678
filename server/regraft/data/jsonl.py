"""JSON Lines as a table: an object a line, its keys the columns."""

import io
import json
from pathlib import Path
from typing import Any

from regraft.data.encoding import read_text
from regraft.data.table import Table
from regraft.errors import DataError, Problem


def read_jsonl(source: str, path: Path) -> Table:
    """A .jsonl file; a key that a line lacks is None there, and blank lines do not count.

    Raises DataError: bad-encoding, bad-json.
    """
    file = read_text(source, path)
    lines = [line for line in io.StringIO(file.text, newline=None) if line.strip()]
    file.check_encoding(([line] for line in lines), first=1)
    records = _parse(source, lines)
    names = tuple(dict.fromkeys(key for record in records for key in record))
    return Table(source, names, len(records), lambda name: [r.get(name) for r in records])


def _parse(source: str, lines: list[str]) -> list[dict[str, Any]]:
    records, problems = [], []
    for number, line in enumerate(lines, 1):
        try:
            records.append(_record(line))
        # RecursionError: brackets nested by the thousand.
        except (ValueError, RecursionError) as error:
            problems.append(Problem("bad-json", str(error), number))
    if problems:
        raise DataError(source, problems)
    return records


def _record(line: str) -> dict[str, Any]:
    record = json.loads(line, object_pairs_hook=_without_repeats)
    if not isinstance(record, dict):
        raise ValueError('the line is not an object such as {"text": "…", "label": "…"}')
    return record


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key occurs twice")
    return record
