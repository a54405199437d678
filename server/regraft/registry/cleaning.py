"""What nothing needs any more goes from the home and the database, and nothing that is younger than
a day: somebody may be about to name it."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select

from regraft.domain import JSON
from regraft.registry import schema
from regraft.registry.home import Home
from regraft.registry.manifest import Manifest
from regraft.registry.store import Registry
from regraft.settings import Settings

DAY = 86400.0
UNUSED_EXPORT = UNUSED_FEATURES = 30 * DAY
"""After that the export of a source model, which is made again in seconds to minutes, goes, and so
do features, which take as long as the rows take a backbone."""


@dataclass(frozen=True)
class Retention:
    """For how long what may be needed is kept, in days; None is for ever."""

    uploads: float | None = None
    audit: float | None = 365.0


def retention_of(settings: Settings) -> Retention:
    """As the settings say."""
    return Retention(settings.keep_uploads, settings.keep_audit)


@dataclass
class Cleaned:
    """How many of each kind went, and the bytes of their files."""

    counts: dict[str, int] = field(default_factory=dict)
    size: int = 0

    def add(self, kind: str, count: int = 1, size: int = 0) -> None:
        if count:
            self.counts[kind] = self.counts.get(kind, 0) + count
            self.size += size

    def as_dict(self) -> JSON:
        return {"removed": self.counts, "bytes": self.size}


def clean(
    registry: Registry, retention: Retention, dry: bool = False, now: float | None = None
) -> Cleaned:
    """Remove, or with `dry` only count, what is not needed `now`, a time as `time.time` tells it.

    Raises CorruptBlobError where the manifest of a version cannot be read: what it names is not
    known then, and no blob goes.
    """
    cleaned, now = Cleaned(), time.time() if now is None else now
    needed = set(_needed(registry))
    needed.update(_exports(registry.home, cleaned, dry, now))
    _blobs(registry.home, needed, cleaned, dry, now)
    _optimised(registry.home, needed, cleaned, dry, now)
    _features(registry.home, cleaned, dry, now)
    _half_written(registry.home, cleaned, dry, now)
    _runs(registry, cleaned, dry, now)
    _uploads(registry, retention, cleaned, dry)
    _audit(registry, retention, cleaned, dry)
    return cleaned


def _needed(registry: Registry) -> Iterator[str]:
    """The blobs of all versions."""
    for version in registry.models.versions():
        yield version.manifest.sha256
        manifest = Manifest.load(version.manifest.sha256, registry.blobs)
        yield from (blob.sha256 for blob in manifest.blobs())


def _exports(home: Home, cleaned: Cleaned, dry: bool, now: float) -> Iterator[str]:
    """The blobs of exports that were used lately; the notes of others go."""
    for note in (home.cache / "exports").glob("*.json"):
        if now - note.stat().st_mtime < UNUSED_EXPORT:
            yield json.loads(note.read_text())["sha256"]
            continue
        cleaned.add("exports")
        if not dry:
            note.unlink(missing_ok=True)


def _blobs(home: Home, needed: set[str], cleaned: Cleaned, dry: bool, now: float) -> None:
    for entry in home.blobs.entries():
        if entry.sha256 in needed or now - entry.changed < DAY:
            continue
        if dry or home.blobs.remove(entry.sha256, now - DAY):
            cleaned.add("blobs", size=entry.size)


def _optimised(home: Home, needed: set[str], cleaned: Cleaned, dry: bool, now: float) -> None:
    """Copies of graphs for this machine, of which the graph has gone or goes."""
    for folder in home.optimised.glob("*"):
        if folder.name.partition("-")[0] in needed or now - folder.stat().st_mtime < DAY:
            continue
        cleaned.add("optimised copies", size=_size(folder))
        if not dry:
            shutil.rmtree(folder, ignore_errors=True)


def _features(home: Home, cleaned: Cleaned, dry: bool, now: float) -> None:
    for path in home.features.glob("*.npy"):
        state = path.stat()
        if now - state.st_mtime < UNUSED_FEATURES:
            continue
        cleaned.add("cached features", size=state.st_size)
        if not dry:
            path.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _half_written(home: Home, cleaned: Cleaned, dry: bool, now: float) -> None:
    """What was written when its writer ended: its names begin with a dot."""
    for folder in (home.blobs.root, home.uploads, home.cache, home.tables, home.predictions):
        for path in folder.rglob(".*"):
            state = path.stat()
            if path.is_file() and now - state.st_mtime >= DAY:
                cleaned.add("half-written files", size=state.st_size)
                if not dry:
                    path.unlink(missing_ok=True)


def _runs(registry: Registry, cleaned: Cleaned, dry: bool, now: float) -> None:
    """Working directories of adaptations that have ended."""
    going = {run.id for run in registry.runs.all() if not run.state.final}
    for folder in (registry.home.root / "runs").glob("*"):
        if folder.name in going or now - folder.stat().st_mtime < DAY:
            continue
        cleaned.add("working directories", size=_size(folder))
        if not dry:
            shutil.rmtree(folder, ignore_errors=True)


def _uploads(registry: Registry, retention: Retention, cleaned: Cleaned, dry: bool) -> None:
    if retention.uploads is None:
        return
    oldest = datetime.now(UTC) - timedelta(days=retention.uploads)
    for upload in registry.uploads.all():
        if upload.created >= oldest or registry.uploads.user_of(upload.id):
            continue
        cleaned.add("uploads", size=upload.size)
        if not dry:
            registry.uploads.delete(upload.id)


def _audit(registry: Registry, retention: Retention, cleaned: Cleaned, dry: bool) -> None:
    if retention.audit is None:
        return
    table = schema.audit
    old = table.c.time < datetime.now(UTC) - timedelta(days=retention.audit)
    with registry.engine.begin() as connection:
        numbers = connection.scalars(select(table.c.number).where(old)).all()
        cleaned.add("audit records", len(numbers))
        if numbers and not dry:
            connection.execute(delete(table).where(old))
