"""The endpoint table: which version answers under which name, as numbered, immutable files."""

import json
from dataclasses import dataclass
from pathlib import Path

from regraft.registry.blobs import write_atomically

KEPT = 20


@dataclass(frozen=True)
class Route:
    """One endpoint of the table, and the manifest of the version that it serves."""

    name: str
    version: int
    manifest: str


@dataclass(frozen=True)
class EndpointTable:
    """A whole table; a greater revision replaces a smaller one."""

    revision: int
    routes: tuple[Route, ...]

    def write(self, directory: Path) -> None:
        content = {"revision": self.revision, "endpoints": [vars(route) for route in self.routes]}
        write_atomically(_path(directory, self.revision), json.dumps(content).encode())
        for old in revisions(directory)[:-KEPT]:
            _path(directory, old).unlink(missing_ok=True)

    @classmethod
    def read(cls, directory: Path, revision: int) -> "EndpointTable":
        content = json.loads(_path(directory, revision).read_bytes())
        routes = tuple(Route(**route) for route in content["endpoints"])
        return cls(content["revision"], routes)


def revisions(directory: Path) -> list[int]:
    """The revisions that are there, ascending. Readers take the last, so that two writers who
    finish in the other order do no harm."""
    return sorted(int(path.stem) for path in directory.glob("[0-9]*.json"))


def _path(directory: Path, revision: int) -> Path:
    return directory / f"{revision:012d}.json"
