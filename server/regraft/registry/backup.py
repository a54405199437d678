"""A home in one file, and back: the database as of one moment, then all that it names."""

import hashlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from regraft.domain import JSON
from regraft.errors import ConflictError, InvalidInputError
from regraft.registry.home import Home
from regraft.registry.store import Registry

DATABASE = "regraft.db"
SECRETS = ("pepper", "keys.json")
FOLDERS = ("blobs", "uploads")
NAME = re.compile(
    r"regraft\.db|pepper|keys\.json|blobs/sha256/[0-9a-f]{2}/[0-9a-f]{64}|uploads/d-[0-9a-z.]+"
)
PIECE = 2**20
MOST_PACKED = 200
"""Times that a database may be packed."""


def backup(registry: Registry, target: Path) -> JSON:
    """Write the home into a new file, also while a server runs on it. What is published is whole in
    it: blobs are stored before the rows that name them, and the rows are read first."""
    if registry.engine.dialect.name != "sqlite":
        raise InvalidInputError(
            "The database is not in the home: copy it by its own tool, such as pg_dump, and then "
            "the folders blobs and uploads of the home."
        )
    if target.exists():
        raise ConflictError(f"{target} exists already.")
    partial = target.with_name(f".{target.name}.part")
    try:
        count = _write(registry.home, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return {"file": str(target), "files": count, "bytes": target.stat().st_size}


def _write(home: Home, target: Path) -> int:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    with ZipFile(target, "w", ZIP_STORED) as archive, tempfile.TemporaryDirectory() as scratch:
        archive.write(_snapshot(home, Path(scratch)), DATABASE, ZIP_DEFLATED)
        for path in _files(home):
            archive.write(path, path.relative_to(home.root).as_posix())
        return len(archive.namelist())


def _snapshot(home: Home, folder: Path) -> Path:
    copy = folder / DATABASE
    with (
        closing(sqlite3.connect(home.root / DATABASE)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


def _files(home: Home) -> Iterator[Path]:
    yield from (path for name in SECRETS if (path := home.root / name).is_file())
    # What another store keeps is there when the home is restored.
    for folder in FOLDERS[1:] if home.artifacts else FOLDERS:
        files = sorted(path for path in (home.root / folder).rglob("*") if path.is_file())
        yield from (path for path in files if not path.name.startswith("."))


def restore(archive: Path, home: Home) -> JSON:
    """Make a home of such a file; it must not be there yet. Nothing is left of one that is damaged.

    Raises InvalidInputError for a file that is no backup or is damaged, ConflictError for a home
    that is there.
    """
    if home.root.exists() and any(home.root.iterdir()):
        raise ConflictError(
            f"{home.root} is not empty: move it away first, or name another with --home."
        )
    home.root.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=home.root.parent, prefix=f".{home.root.name}-"))
    try:
        count = _extract(archive, made)
        Registry(made).models.synchronise()
        if home.root.exists():
            home.root.rmdir()
        made.rename(home.root)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return {"home": str(home.root), "files": count}


def _extract(archive: Path, target: Path) -> int:
    try:
        with ZipFile(archive) as opened:
            names = opened.namelist()
            if DATABASE not in names or len(set(names)) < len(names):
                raise InvalidInputError(f"{archive} is no backup of regraft.")
            _check_apart(opened, archive)
            for name in names:
                _extract_one(opened, name, target)
    except (BadZipFile, OSError, EOFError) as error:
        raise InvalidInputError(f"{archive} cannot be read: {error}") from error
    return len(names)


def _check_apart(opened: ZipFile, archive: Path) -> None:
    """BadZipFile if entries share bytes, or others than the database are packed, as we pack none: a
    small archive of them would fill any disk."""
    entries = opened.infolist()
    if sum(one.compress_size for one in entries) > archive.stat().st_size:
        raise BadZipFile("entries overlap")
    packed = [one for one in entries if one.file_size != one.compress_size]
    if any(one.filename != DATABASE for one in packed):
        raise BadZipFile("entries are compressed that a backup stores as they are")
    if any(one.file_size > MOST_PACKED * one.compress_size for one in packed):
        raise BadZipFile(f"its database is compressed more than {MOST_PACKED} times")


def _extract_one(archive: ZipFile, name: str, target: Path) -> None:
    if not NAME.fullmatch(name) or ".." in name:
        raise InvalidInputError(f"The backup holds what regraft does not keep: {name[:80]!r}.")
    path, digest = target / name, hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o600 if name in SECRETS else 0o644
    with archive.open(name) as source, open(_created(path, mode), "wb") as file:
        while piece := source.read(PIECE):
            digest.update(piece)
            file.write(piece)
    if name.startswith("blobs/") and digest.hexdigest() != path.name:
        raise InvalidInputError(f"The backup is damaged: a blob hashes to {digest.hexdigest()}.")


def _created(path: Path, mode: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
