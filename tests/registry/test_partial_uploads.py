"""Uploads in parts: kept, in order, whole, and nobody else's."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regraft.domain import JSON
from regraft.errors import ConflictError, InvalidInputError, TooLargeError, UnknownNameError
from regraft.identity.caller import View
from regraft.registry.cleaning import DAY, Retention, clean
from regraft.registry.partial_uploads import PartialUploads
from regraft.registry.store import Registry


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    return Registry(tmp_path, database)


@pytest.fixture
def parts(registry: Registry) -> PartialUploads:
    return registry.partial_uploads


def append(
    parts: PartialUploads, identifier: str, offset: int, *chunks: bytes, limit: int = 100
) -> JSON:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return asyncio.run(parts.append(identifier, offset, body(), limit))


def test_parts_become_one_upload(registry: Registry, parts: PartialUploads) -> None:
    identifier = parts.begin("My rows.CSV")["id"]
    assert append(parts, identifier, 0, b"text,", b"label")["offset"] == 10
    assert append(parts, identifier, 10, b"\n")["offset"] == 11
    upload = parts.complete(identifier)
    assert (upload.id, upload.size, upload.filename) == (identifier, 11, "My rows.CSV")
    assert upload.sha256 == hashlib.sha256(b"text,label\n").hexdigest()
    assert registry.uploads.path(upload.reference).read_bytes() == b"text,label\n"
    assert parts.complete(identifier) == registry.uploads.get(identifier)
    assert len(list(registry.home.uploads.iterdir())) == 1
    with pytest.raises(UnknownNameError):
        append(parts, identifier, 11, b"more")


def test_a_part_that_broke_off_is_gone_on_with(parts: PartialUploads) -> None:
    identifier = parts.begin("rows.csv")["id"]

    async def breaking() -> AsyncIterator[bytes]:
        yield b"12345"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(parts.append(identifier, 0, breaking(), 100))
    assert parts.state(identifier) == {"id": identifier, "filename": "rows.csv", "offset": 5}
    with pytest.raises(ConflictError, match="begins at byte 5, not 0"):
        append(parts, identifier, 0, b"12345")
    assert append(parts, identifier, 5, b"678")["offset"] == 8
    assert parts.complete(identifier).size == 8


def test_a_part_over_the_limit_leaves_what_was_there(parts: PartialUploads) -> None:
    identifier = parts.begin("rows.csv")["id"]
    append(parts, identifier, 0, b"12345")
    with pytest.raises(TooLargeError, match="larger than 10 bytes"):
        append(parts, identifier, 5, b"678", b"901", limit=10)
    assert append(parts, identifier, 5, b"67890", limit=10)["offset"] == 10


def test_two_parts_at_once_are_refused(parts: PartialUploads) -> None:
    identifier = parts.begin("rows.csv")["id"]

    async def another() -> AsyncIterator[bytes]:
        yield b"1"
        with pytest.raises(ConflictError, match="on its way"):
            await parts.append(identifier, 0, nothing(), 100)

    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    assert asyncio.run(parts.append(identifier, 0, another(), 100))["offset"] == 1


def test_an_upload_of_another_project_is_not_found(registry: Registry) -> None:
    ours = registry.within(View("ours", everywhere=False)).partial_uploads
    theirs = registry.within(View("theirs", everywhere=False)).partial_uploads
    identifier = ours.begin("rows.csv")["id"]
    for ask in (theirs.state, theirs.complete, theirs.delete):
        with pytest.raises(UnknownNameError):
            ask(identifier)
    assert ours.complete(identifier).id == identifier
    with pytest.raises(UnknownNameError):
        theirs.complete(identifier)


def test_one_that_is_given_up_or_forgotten_goes(registry: Registry, parts: PartialUploads) -> None:
    first, second = (parts.begin("rows.csv")["id"] for _ in range(2))
    parts.delete(first)
    with pytest.raises(UnknownNameError):
        parts.state(first)
    later = parts.uploads.directory.stat().st_mtime + 2 * DAY
    assert clean(registry, Retention(), now=later).counts == {"half-written files": 2}
    with pytest.raises(UnknownNameError):
        parts.complete(second)


def test_a_name_without_a_suffix_is_refused_before_anything_comes(parts: PartialUploads) -> None:
    with pytest.raises(InvalidInputError, match="no suffix"):
        parts.begin("rows")


@given(identifier=st.text(max_size=80) | st.sampled_from(["../x", "d-/../../x", "d-", ".", ""]))
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_an_id_that_is_none_of_ours_is_not_found(parts: PartialUploads, identifier: str) -> None:
    with pytest.raises(UnknownNameError):
        parts.state(identifier)
