"""Uploads that come in parts: what has come so far is kept for a day, whatever happens between."""

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BufferedRandom
from pathlib import Path

from regraft.domain import JSON, Upload
from regraft.errors import ConflictError, TooLargeError, UnknownNameError
from regraft.registry.blobs import write_atomically
from regraft.registry.uploads import UploadRegistry, new_id, suffix_of


class PartialUploads:
    """Each is two files, whose names begin with a dot until it is whole; then it is an upload of
    the same id. Half a part that came stays: the next begins behind it."""

    def __init__(self, uploads: UploadRegistry) -> None:
        self.uploads = uploads

    def begin(self, filename: str) -> JSON:
        """A new one, of which nothing has come."""
        suffix_of(filename)
        identifier = new_id()
        self.uploads.directory.mkdir(parents=True, exist_ok=True)
        note = {"filename": filename[:255], "project": self.uploads.view.project}
        self._part(identifier).touch()
        write_atomically(self._note(identifier), json.dumps(note).encode())
        return self.state(identifier)

    def state(self, identifier: str) -> JSON:
        """Its `id`, its `filename`, and at which `offset` the next part begins, in bytes."""
        filename = self._read(identifier)["filename"]
        offset = self._part(identifier).stat().st_size
        return {"id": identifier, "filename": filename, "offset": offset}

    async def append(
        self, identifier: str, offset: int, chunks: AsyncIterator[bytes], limit: int
    ) -> JSON:
        """Store what comes behind what is there; where that is not `offset` bytes, ConflictError.

        TooLargeError, with nothing of this part kept, where it would become more than `limit`.
        """
        self._read(identifier)
        with _alone(self._part(identifier)) as file:
            size = file.seek(0, os.SEEK_END)
            if size != offset:
                raise ConflictError(f"The next part begins at byte {size:,}, not {offset:,}.")
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    file.truncate(offset)
                    raise TooLargeError(f"The data set is larger than {limit:,} bytes.")
                await asyncio.to_thread(file.write, chunk)
        return self.state(identifier)

    def complete(self, identifier: str) -> Upload:
        """The upload that it is now; once more the same, for who did not hear the answer."""
        if not self._note(identifier).exists():
            return self.uploads.get(identifier)
        filename = self._read(identifier)["filename"]
        with _alone(self._part(identifier)) as file:
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            upload = Upload(identifier, filename, digest, size, datetime.now(UTC))
            os.link(self._part(identifier), self.uploads.stored(upload))
            self.uploads.insert(upload)
            self._forget(identifier)
        return upload

    def delete(self, identifier: str) -> None:
        self._read(identifier)
        self._forget(identifier)

    def _forget(self, identifier: str) -> None:
        self._note(identifier).unlink(missing_ok=True)
        self._part(identifier).unlink(missing_ok=True)

    def _read(self, identifier: str) -> JSON:
        """Its note, if it is seen."""
        try:
            note: JSON = json.loads(self._note(identifier).read_bytes())
        except OSError:
            note = {}
        if not note or not self.uploads.view.sees(note["project"]):
            raise UnknownNameError("upload", identifier[:60], [])
        return note

    def _part(self, identifier: str) -> Path:
        return self._file(identifier, "part")

    def _note(self, identifier: str) -> Path:
        return self._file(identifier, "json")

    def _file(self, identifier: str, suffix: str) -> Path:
        """Of an id that we may have made; of any other a file that is never there."""
        known = identifier.isascii() and identifier.removeprefix("d-").isalnum()
        return self.uploads.directory / f".{identifier if known else 'd-'}.{suffix}"


@contextmanager
def _alone(path: Path) -> Iterator[BufferedRandom]:
    """The file, which nobody else writes meanwhile; ConflictError if somebody does."""
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError("Another part of this upload is on its way.") from error
        yield file
