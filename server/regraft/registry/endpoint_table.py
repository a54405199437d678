"""The endpoint table: which version answers under which name, as numbered, immutable files."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regraft.identity.caller import DEFAULT_PROJECT
from regraft.registry.blobs import write_atomically

KEPT = 20


@dataclass(frozen=True)
class Tried:
    """A version that is tried beside the one that answers, as `Trial` says."""

    version: int
    manifest: str
    mode: str
    share: float


@dataclass(frozen=True)
class Before:
    """The version that answered until the one that shall took its place."""

    version: int
    manifest: str


@dataclass(frozen=True)
class Route:
    """One endpoint of the table, and the manifest of the version that it serves. The replicas of a
    `dedicated` one are its own. A replica that cannot load the version and has none yet answers
    with the one `before`."""

    name: str
    version: int
    manifest: str
    tried: Tried | None = None
    dedicated: bool = False
    project: str = DEFAULT_PROJECT
    before: Before | None = None

    def versions(self) -> "tuple[Route, ...]":
        """The version that answers, then the one that is tried, each as a route by itself."""
        stable = Route(self.name, self.version, self.manifest)
        if self.tried is None:
            return (stable,)
        return stable, Route(self.name, self.tried.version, self.tried.manifest)

    def fallback(self) -> "Route | None":
        """The version before, as a route by itself."""
        if self.before is None:
            return None
        return Route(self.name, self.before.version, self.before.manifest)


@dataclass(frozen=True)
class EndpointTable:
    """A whole table; a greater revision replaces a smaller one."""

    revision: int
    routes: tuple[Route, ...]

    def write(self, directory: Path) -> None:
        content = {"revision": self.revision, "endpoints": [asdict(route) for route in self.routes]}
        write_atomically(_path(directory, self.revision), json.dumps(content).encode())
        for old in revisions(directory)[:-KEPT]:
            _path(directory, old).unlink(missing_ok=True)

    @classmethod
    def read(cls, directory: Path, revision: int) -> "EndpointTable":
        content = json.loads(_path(directory, revision).read_bytes())
        return cls(content["revision"], tuple(map(_route, content["endpoints"])))


def _route(content: dict[str, Any]) -> Route:
    tried, before = content.get("tried"), content.get("before")
    versions = {"tried": tried and Tried(**tried), "before": before and Before(**before)}
    return Route(**{**content, **versions})


def revisions(directory: Path) -> list[int]:
    """The revisions that are there, ascending. Readers take the last, so that two writers who
    finish in the other order do no harm."""
    return sorted(int(path.stem) for path in directory.glob("[0-9]*.json"))


def stopping(directory: Path) -> Path:
    """The file that is beside the tables while their server stops."""
    return directory / "stopping"


def _path(directory: Path, revision: int) -> Path:
    return directory / f"{revision:012d}.json"
