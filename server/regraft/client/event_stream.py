"""Reads a stream of server-sent events (WHATWG HTML, section 9.2)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from regraft.domain import JSON


@dataclass(frozen=True)
class ServerEvent:
    """One event of an adaptation."""

    number: int
    kind: str
    data: JSON


def read_events(lines: Iterable[str]) -> Iterator[ServerEvent | None]:
    """The complete events among these lines; None for a comment, a sign of life."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield None
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield ServerEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}
