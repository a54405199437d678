"""Content-addressed storage: a blob is named by its SHA-256 and never changes."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from regraft.domain import Blob
from regraft.errors import RegraftError


class CorruptBlobError(RegraftError):
    """A stored blob whose bytes are not those that its name promises."""


@dataclass(frozen=True)
class Entry:
    """A blob of a store: its bytes, and when it was last stored, in seconds as `time.time` counts
    them."""

    sha256: str
    size: int
    changed: float


class BlobStore:
    """Blobs on a local disk, under `ROOT/sha256/ab/abcd…`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "sha256"

    def path(self, sha256: str) -> Path:
        """Where this blob is, or would be."""
        return self.root / sha256[:2] / sha256

    def put(self, content: bytes) -> Blob:
        """Store the bytes, also where those that were stored are damaged; a crash leaves the blob
        complete or absent."""
        blob = Blob(hashlib.sha256(content).hexdigest(), len(content))
        target = self.path(blob.sha256)
        try:
            os.utime(target)  # it is young again: cleaning leaves it
            self.verified(blob.sha256)
        except (FileNotFoundError, CorruptBlobError):
            write_atomically(target, content)
        return blob

    def check(self) -> None:
        """InvalidInputError if there is no such store."""

    def entries(self) -> Iterator[Entry]:
        """All blobs."""
        for path in self.root.glob("??/*"):
            if not path.name.startswith("."):
                state = path.stat()
                yield Entry(path.name, state.st_size, state.st_mtime)

    def remove(self, sha256: str, before: float) -> bool:
        """Remove a blob that was last stored before this time; whether it went.

        Somebody who stores the same bytes again at this moment either finds no file and writes one,
        or touches this one, which is then put back.
        """
        path = self.path(sha256)
        aside = path.with_name(f".old-{sha256}")
        os.replace(path, aside)
        if aside.stat().st_mtime >= before:
            os.replace(aside, path)
            return False
        aside.unlink()
        return True

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and self.path(sha256).is_file()

    def verified(self, sha256: str) -> Path:
        """The path of a blob, after reading it whole; CorruptBlobError if it is damaged or gone."""
        path = self.path(sha256)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise CorruptBlobError(f"The blob {sha256} is missing.") from error
        if found != sha256:
            raise CorruptBlobError(f"The blob {sha256} is damaged: it hashes to {found}.")
        return path

    def read(self, sha256: str) -> bytes:
        """The bytes of a blob, verified."""
        return self.verified(sha256).read_bytes()


def write_atomically(target: Path, content: bytes) -> None:
    """Write to a temporary file beside the target, sync it, rename it."""
    write_pieces_atomically(target, [content])


def write_pieces_atomically(target: Path, pieces: Iterable[bytes], durable: bool = True) -> None:
    """The same without the whole content in memory; what is not `durable` a power cut may take."""
    write_with(target, lambda file: file.writelines(pieces), durable)


def write_with(target: Path, write: Callable[[BinaryIO], Any], durable: bool = True) -> None:
    """The same, with what `write` writes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in this directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
