"""Uploaded data sets: a file and its row."""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, insert, select

from regraft.domain import JSON, UPLOADED
from regraft.errors import InvalidInputError, TooLargeError, UnknownNameError
from regraft.identity.caller import EVERYTHING, View
from regraft.registry.schema import datasets, reader

SUFFIX = re.compile(r"\.[a-z0-9]{1,10}$")


class UploadRegistry:
    """Data sets under ids that the server makes; a user's file name gives only the suffix."""

    def __init__(self, engine: Engine, directory: Path, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.view = view
        self.reading = reader(engine)
        self.directory = directory

    async def receive(self, filename: str, chunks: AsyncIterator[bytes], limit: int) -> JSON:
        """Store a streamed body of at most `limit` bytes."""
        suffix = SUFFIX.search(filename.lower())
        if suffix is None:
            raise InvalidInputError(f"The file name '{filename[:60]}' has no suffix such as .csv.")
        identifier = f"d-{secrets.token_hex(6)}"
        self.directory.mkdir(parents=True, exist_ok=True)
        partial = self.directory / f".{identifier}"
        try:
            digest, size = await _write(partial, chunks, limit)
            partial.rename(self.directory / f"{identifier}{suffix[0]}")
        finally:
            partial.unlink(missing_ok=True)
        row = {"id": identifier, "filename": filename[:255], "sha256": digest, "size": size}
        await asyncio.to_thread(self._insert, row)
        return {**row, "reference": f"{UPLOADED}{identifier}"}

    def _insert(self, row: JSON) -> None:
        with self.engine.begin() as connection:
            values = {**row, "created": datetime.now(UTC), "project": self.view.project}
            connection.execute(insert(datasets).values(**values))

    def path(self, reference: str) -> Path:
        """The stored file of `dataset:ID`."""
        identifier = reference.removeprefix(UPLOADED)
        query = select(datasets.c.filename).where(datasets.c.id == identifier)
        if not self.view.everywhere:
            query = query.where(datasets.c.project == self.view.project)
        with self.reading.begin() as connection:
            filename = connection.scalar(query)
        suffix = SUFFIX.search((filename or "").lower())
        if suffix is None:
            raise UnknownNameError("data set", reference[:60], [])
        return self.directory / f"{identifier}{suffix[0]}"


async def _write(target: Path, chunks: AsyncIterator[bytes], limit: int) -> tuple[str, int]:
    """Disks may be slow, and the event loop has other requests: they are written to in threads."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TooLargeError(f"The data set is larger than {limit:,} bytes.")
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
    return digest.hexdigest(), size
