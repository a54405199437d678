"""What commands print: JSON for programs, tables for people."""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.?\d*\+00:00$")

_reserved: TextIO | None = None


def reserve_stdout() -> None:
    """Keep stdout for what the command answers. Libraries that print, as Ray does when its cluster
    has something to complain of, then print to stderr."""
    global _reserved
    if _reserved is None:
        _reserved, sys.stdout = sys.stdout, sys.stderr


def release_stdout() -> None:
    """Give stdout back, with what was written to it."""
    global _reserved
    _stream().flush()
    sys.stderr.flush()
    if _reserved is not None:
        sys.stdout, _reserved = _reserved, None


def _stream() -> TextIO:
    return _reserved or sys.stdout


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    _stream().write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    _stream().flush()


def print_rows(rows: Sequence[dict[str, Any]], columns: dict[str, str], empty: str) -> None:
    """Rows as a table; `columns` are keys, dotted for nested ones, and their headings."""
    if not rows:
        stdout().print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_text(_get(row, key)) for key in columns))
    stdout().print(table)


def stdout() -> Console:
    return Console(file=_stream(), highlight=False, markup=False)


def stderr() -> Console:
    return Console(stderr=True, highlight=False, markup=False)


def _get(row: dict[str, Any], key: str) -> Any:
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _TIME.sub(r"\1 \2", str(value))
