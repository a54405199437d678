"""Public data in Debian's packages, read without installing anything."""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import urlopen

from regraft.errors import RegraftError

POOL = "http://deb.debian.org/debian/pool/main"
SECONDS = 60
CHUNK = 2**20
AR_MAGIC, AR_HEADER = b"!<arch>\n", 60


class DemoDataError(RegraftError):
    """The demo's data cannot be had here."""


@dataclass(frozen=True)
class Package:
    """A file of the pool and what it must hash to; `instead` says how to do without it."""

    path: str
    sha256: str
    instead: str
    pool: str = POOL

    def files(self) -> Iterator[tuple[PurePosixPath, bytes]]:
        """Every regular file within, by its path. Raises DemoDataError if it cannot be fetched."""
        with tempfile.TemporaryFile() as file:
            self._fetch(file)
            try:
                _seek_data(file)
                with tarfile.open(fileobj=file, mode="r|*") as tar:
                    for entry in tar:
                        content = tar.extractfile(entry) if entry.isfile() else None
                        if content is not None:
                            yield PurePosixPath(entry.name), content.read()
            except (tarfile.TarError, ValueError) as error:
                raise self._error(f"the package cannot be read: {error}") from error

    def _fetch(self, file: BinaryIO) -> None:
        digest = hashlib.sha256()
        try:
            with urlopen(f"{self.pool}/{self.path}", timeout=SECONDS) as answer:
                while chunk := answer.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
        except (URLError, OSError) as error:
            raise self._error(str(error)) from error
        if digest.hexdigest() != self.sha256:
            raise self._error("what came is not the package that is known")

    def _error(self, reason: str) -> DemoDataError:
        return DemoDataError(
            f"The demo's data could not be fetched from {self.pool}/{self.path}: {reason}. "
            f"Supply it yourself: {self.instead}"
        )


def _seek_data(file: BinaryIO) -> None:
    """Go to where the files are in a .deb: an ar archive (deb(5)) whose last member is a tar."""
    file.seek(0)
    if file.read(len(AR_MAGIC)) != AR_MAGIC:
        raise ValueError("it is no ar archive")
    while len(header := file.read(AR_HEADER)) == AR_HEADER:
        if header.startswith(b"data.tar"):
            return
        size = int(header[48:58])
        file.seek(size + size % 2, 1)
    raise ValueError("it holds no data.tar")


def safe_name(path: Path | PurePosixPath) -> str:
    """A file name that says from which folder it came."""
    return f"{path.parent.name}-{path.name}"
