"""The keys that are good, as a file that whoever checks one reads: no database on the way."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from regraft.identity.caller import Caller
from regraft.identity.scopes import Scope

LOOK_SECONDS = 0.5
"""How often the file is looked at: a key that was revoked is refused that much later at most."""


@dataclass(frozen=True)
class KeyRow:
    """A good key: its hash, and whom it makes of its bearer; `expires` in seconds of Unix time."""

    id: str
    digest: str
    project: str
    scopes: tuple[Scope, ...]
    expires: float | None = None

    def expired(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now

    @property
    def caller(self) -> Caller:
        return Caller(f"key:{self.id}", self.project, frozenset(self.scopes))


def dumped(rows: list[KeyRow]) -> bytes:
    return json.dumps({"keys": [asdict(row) for row in rows]}).encode()


def _row(content: dict[str, Any]) -> KeyRow:
    scopes = tuple(Scope(name) for name in content["scopes"])
    return KeyRow(**{**content, "scopes": scopes})


@dataclass
class KeyTable:
    """The file at `path`, read again when it has changed; empty where there is none."""

    path: Path
    clock: Callable[[], float] = time.monotonic
    rows: dict[str, KeyRow] = field(default_factory=dict)
    stamp: tuple[int, int] | None = None
    looked: float = float("-inf")

    def get(self, identifier: str) -> KeyRow | None:
        """The good key with this id. For one that is not known the file is looked at at once: it
        may have been made a moment ago."""
        if identifier not in self.rows or self.clock() - self.looked > LOOK_SECONDS:
            self._look()
        return self.rows.get(identifier)

    def _look(self) -> None:
        self.looked = self.clock()
        try:
            known = self.path.stat()
        except FileNotFoundError:
            self.rows, self.stamp = {}, None
            return
        stamp = (known.st_mtime_ns, known.st_ino)
        if stamp != self.stamp:
            content = json.loads(self.path.read_bytes())
            rows = map(_row, content["keys"])
            self.rows, self.stamp = {row.id: row for row in rows}, stamp
