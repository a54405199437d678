"""Uploaded data sets: a file and its row."""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, delete, insert, select, true

from regraft.domain import DATA_FIELDS, UPLOADED, Upload
from regraft.errors import ConflictError, InvalidInputError, TooLargeError, UnknownNameError
from regraft.identity.caller import EVERYTHING, View
from regraft.registry.paging import WHOLE, Order, Page, Window
from regraft.registry.runs import OPEN
from regraft.registry.schema import adaptations, aware, datasets, reader

NEWEST = Order((datasets.c.created, datasets.c.id), descending=True)
SUFFIX = re.compile(r"\.[a-z0-9]{1,10}$")


class UploadRegistry:
    """Data sets under ids that the server makes; a user's file name gives only the suffix."""

    def __init__(self, engine: Engine, directory: Path, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.view = view
        self.reading = reader(engine)
        self.directory = directory

    async def receive(self, filename: str, chunks: AsyncIterator[bytes], limit: int) -> Upload:
        """Store a streamed body of at most `limit` bytes."""
        suffix, identifier = suffix_of(filename), new_id()
        self.directory.mkdir(parents=True, exist_ok=True)
        partial = self.directory / f".{identifier}"
        try:
            digest, size = await _write(partial, chunks, limit)
            partial.rename(self.directory / f"{identifier}{suffix}")
        finally:
            partial.unlink(missing_ok=True)
        upload = Upload(identifier, filename[:255], digest, size, datetime.now(UTC))
        await asyncio.to_thread(self.insert, upload)
        return upload

    def insert(self, upload: Upload) -> None:
        """Record what is stored."""
        with self.engine.begin() as connection:
            values = {**vars(upload), "project": self.view.project}
            connection.execute(insert(datasets).values(**values))

    def page(self, window: Window) -> Page[Upload]:
        """Uploads, the newest first."""
        query = select(datasets).where(self._seen())
        with self.reading.begin() as connection:
            return NEWEST.page(connection, query, window, _upload)

    def all(self) -> list[Upload]:
        """All uploads, the newest first."""
        return self.page(WHOLE).items

    def get(self, identifier: str) -> Upload:
        query = select(datasets).where(datasets.c.id == identifier, self._seen())
        with self.reading.begin() as connection:
            row = connection.execute(query).first()
        if row is None:
            known = [upload.id for upload in self.page(Window(5)).items]
            raise UnknownNameError("data set", identifier[:60], known)
        return _upload(row)

    def path(self, reference: str) -> Path:
        """The stored file of `dataset:ID`."""
        return self.stored(self.get(reference.removeprefix(UPLOADED)))

    def stored(self, upload: Upload) -> Path:
        """The file of an upload."""
        return self.directory / f"{upload.id}{suffix_of(upload.filename)}"

    def user_of(self, identifier: str) -> str | None:
        """An adaptation that is not at its end and names this data set."""
        reference, open_states = f"{UPLOADED}{identifier}", adaptations.c.state.in_(OPEN)
        query = select(adaptations.c.id, adaptations.c.spec).where(open_states)
        with self.reading.begin() as connection:
            rows = connection.execute(query).all()
        named = (row.id for row in rows if reference in map(row.spec.get, DATA_FIELDS))
        return next(named, None)

    def delete(self, identifier: str) -> None:
        """ConflictError while an adaptation that is not at its end needs it."""
        upload = self.get(identifier)
        user = self.user_of(identifier)
        if user is not None:
            raise ConflictError(
                f"The adaptation {user} needs the data set {identifier}: let it end, or cancel it."
            )
        with self.engine.begin() as connection:
            connection.execute(delete(datasets).where(datasets.c.id == identifier))
        self.stored(upload).unlink(missing_ok=True)

    def _seen(self) -> ColumnElement[bool]:
        return true() if self.view.everywhere else datasets.c.project == self.view.project


def new_id() -> str:
    return f"d-{secrets.token_hex(6)}"


def suffix_of(filename: str) -> str:
    """Of a file name that says its format; InvalidInputError for any other."""
    suffix = SUFFIX.search(filename.lower())
    if suffix is None:
        raise InvalidInputError(f"The file name '{filename[:60]}' has no suffix such as .csv.")
    return suffix[0]


def _upload(row: "Row[Any]") -> Upload:
    return Upload(row.id, row.filename, row.sha256, row.size, aware(row.created))


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
