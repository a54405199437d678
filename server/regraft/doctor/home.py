"""The home: its disk, its database, and whether what is published is there and whole."""

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from regraft.doctor.finding import Finding, Patient
from regraft.domain import Blob, State
from regraft.errors import RegraftError
from regraft.registry import schema
from regraft.registry.blobs import CorruptBlobError
from regraft.registry.endpoint_table import EndpointTable, revisions
from regraft.registry.key_rows import good_keys
from regraft.registry.manifest import Manifest
from regraft.registry.store import Registry

LEAST_FREE = 2**30
"""Bytes on the home's disk: an adaptation of a small model writes a few hundred million."""
OLD_SECONDS = 86400.0
"""For how long what is half written may belong to somebody who writes it."""


def disk(patient: Patient) -> Iterable[Finding]:
    """Room on the disk, and the right to write there."""
    home = patient.settings.resolved_home
    free = shutil.disk_usage(home).free
    if free < LEAST_FREE:
        yield Finding(
            f"{home} has {free / 2**20:,.0f} MiB free.",
            "Free at least 1 GiB, or move the home: REGRAFT_HOME.",
        )
    probe = home / ".doctor"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        yield Finding(
            f"{home} cannot be written to: {error.strerror or error}.",
            "Give it to the user that runs regraft, or set REGRAFT_HOME.",
        )


def database(patient: Patient) -> Iterable[Finding]:
    """That it opens, and that SQLite finds its file sound."""
    engine = patient.registry().engine
    if engine.dialect.name != "sqlite":
        return
    try:
        with schema.reader(engine).connect() as connection:
            found = connection.execute(text("PRAGMA integrity_check(1)")).scalar()
    except DatabaseError as error:
        found = str(error.orig)
    if found != "ok":
        yield Finding(
            f"SQLite finds the database damaged: {found}.",
            "Stop the server, move the home away and restore a copy: regraft restore FILE.",
        )


def blobs(patient: Patient) -> Iterable[Finding]:
    """That every version's blobs are there and hash to their names."""
    registry = patient.registry()
    for version in registry.models.versions():
        for blob in _blobs(registry, version.manifest):
            try:
                registry.blobs.verified(blob.sha256)
            except CorruptBlobError as error:
                yield Finding(
                    f"Version {version.version} of '{version.name}': {error}",
                    "Restore a copy (regraft restore FILE), or adapt again and promote the new "
                    "version.",
                )


def _blobs(registry: Registry, stored: Blob) -> Iterator[Blob]:
    yield stored
    try:
        manifest = Manifest.load(stored.sha256, registry.blobs)
    except (CorruptBlobError, ValueError):
        return
    yield from manifest.blobs()


def endpoint_table(patient: Patient) -> Iterable[Finding]:
    """That replicas read what the database says."""
    registry = patient.registry()
    known = revisions(registry.home.tables)
    told = EndpointTable.read(registry.home.tables, known[-1]) if known else None
    routes = {route.name: route.version for route in told.routes} if told else {}
    wanted = {endpoint.name: endpoint.version for endpoint in registry.models.endpoints()}
    if routes != wanted:
        different = sorted(set(routes.items()) ^ set(wanted.items()))[0][0]
        yield Finding(
            f"The endpoint table that replicas read is not the database's: '{different}'.",
            "Restart the server: it writes the table anew.",
        )


def keys(patient: Patient) -> Iterable[Finding]:
    """That nobody else reads the pepper, and that replicas read the database's keys."""
    registry = patient.registry()
    home = registry.home
    if home.pepper.exists() and home.pepper.stat().st_mode & 0o077:
        yield Finding(
            f"Others than its owner can read {home.pepper}.",
            f"chmod 600 {home.pepper}; if they may have read it, make new keys.",
        )
    with schema.reader(registry.engine).begin() as connection:
        wanted = {row.id for row in good_keys(connection)}
    content = json.loads(home.keys.read_bytes()) if home.keys.exists() else {"keys": []}
    if {row["id"] for row in content["keys"]} != wanted:
        yield Finding(
            "The file of API keys that replicas read is not the database's.",
            "Make or revoke any key: regraft keys create, regraft keys revoke.",
        )


def adaptations(patient: Patient) -> Iterable[Finding]:
    """Those that nobody works on although they are said to run."""
    registry = patient.registry()
    if registry.home.server_url() is not None:
        return
    query = select(schema.adaptations.c.id, schema.adaptations.c.on_server).where(
        schema.adaptations.c.state == str(State.RUNNING)
    )
    with schema.reader(registry.engine).begin() as connection:
        rows = connection.execute(query).all()
    for row in rows:
        mend = (
            "Start a server on this home: it goes on with it."
            if row.on_server
            else ("If its command is gone, forget it: nothing of it was published.")
        )
        yield Finding(f"Adaptation {row.id} is said to run, and no server does.", mend)


def leftovers(patient: Patient) -> Iterable[Finding]:
    """What processes that died left half written."""
    home = patient.settings.resolved_home
    old = datetime.now(UTC).timestamp() - OLD_SECONDS
    found = [path for path in home.rglob(".part-*") if _older(path, old)]
    if found:
        size = sum(path.stat().st_size for path in found)
        yield Finding(
            f"{len(found)} files are half written and a day old ({size / 2**20:,.1f} MiB).",
            f"Delete them: find {home} -name '.part-*' -mtime +0 -delete",
        )


def _older(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except OSError:
        return False


def opens(patient: Patient) -> Iterable[Finding]:
    """That the registry can be opened at all; the other checks of the home need it."""
    try:
        patient.registry().engine  # noqa: B018 - opened by being asked for
    except RegraftError as error:
        yield Finding(
            str(error),
            "Mend REGRAFT_DATABASE or restore a copy of the database: regraft restore FILE.",
        )
