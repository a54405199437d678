"""Uploaded data sets: ids of our own, a limit, and nothing left of what failed."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regraft.domain import AdaptationSpec, Upload
from regraft.errors import ConflictError, InvalidInputError, TooLargeError, UnknownNameError
from regraft.registry.store import Registry
from regraft.registry.uploads import UploadRegistry


@pytest.fixture
def uploads(tmp_path: Path, database: str | None) -> UploadRegistry:
    return Registry(tmp_path, database).uploads


def receive(uploads: UploadRegistry, filename: str, *chunks: bytes, limit: int = 100) -> Upload:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return asyncio.run(uploads.receive(filename, body(), limit))


def test_upload_is_found_by_its_reference(uploads: UploadRegistry) -> None:
    made = receive(uploads, "My data.CSV", b"text,", b"label\n")
    path = uploads.path(made.reference)
    assert path.read_bytes() == b"text,label\n"
    assert path.name == f"{made.id}.csv"
    assert made.size == 11


@pytest.mark.parametrize("filename", ["../../etc/evil.csv", "/etc/evil.csv", "a\x00b.csv"])
def test_name_of_the_file_decides_nothing_but_the_suffix(
    uploads: UploadRegistry, filename: str
) -> None:
    made = receive(uploads, filename, b"x")
    assert [path.name for path in uploads.directory.iterdir()] == [f"{made.id}.csv"]


def test_upload_over_the_limit_leaves_nothing(uploads: UploadRegistry) -> None:
    with pytest.raises(TooLargeError, match="larger than 10 bytes"):
        receive(uploads, "data.csv", b"12345", b"678901", limit=10)
    assert list(uploads.directory.iterdir()) == []
    assert receive(uploads, "data.csv", b"1234567890", limit=10).size == 10


@pytest.mark.parametrize("filename", ["data", "", "data.", "data.csv/", "data.ünï"])
def test_name_without_a_suffix_is_refused(uploads: UploadRegistry, filename: str) -> None:
    with pytest.raises(InvalidInputError, match=r"no suffix such as \.csv"):
        receive(uploads, filename, b"x")


def test_unknown_reference_is_not_found(uploads: UploadRegistry) -> None:
    with pytest.raises(UnknownNameError, match="Unknown data set 'd-0'"):
        uploads.path("dataset:d-0")
    with pytest.raises(UnknownNameError):
        uploads.path("dataset:../../etc/passwd")


def test_an_upload_is_listed_shown_and_deleted_unless_it_is_needed(
    tmp_path: Path, database: str | None
) -> None:
    registry = Registry(tmp_path, database)
    first, second = receive(registry.uploads, "a.csv", b"x"), receive(registry.uploads, "b.csv")
    assert registry.uploads.all() == [second, first]
    assert registry.uploads.get(first.id) == first
    spec = AdaptationSpec(name="m", source="s", data=first.reference, test=second.reference)
    run = registry.runs.submit(spec)[0]
    for one in (first, second):
        with pytest.raises(ConflictError, match=run.id):
            registry.uploads.delete(one.id)
    registry.runs.request_cancel(run.id)
    path = registry.uploads.path(first.reference)
    registry.uploads.delete(first.id)
    assert not path.exists()
    assert registry.uploads.all() == [second]
    with pytest.raises(UnknownNameError):
        registry.uploads.delete(first.id)


NAMES = int(os.environ.get("REGRAFT_TEST_NAMES", "500"))
"""5,000 are all."""


@given(filename=st.text(max_size=300) | st.from_regex(r"(\.\./|/|\\\\|\x00|~|%2e)+.{0,20}\.csv"))
@settings(
    max_examples=NAMES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_name_of_a_file_leaves_the_folder(tmp_path: Path, filename: str) -> None:
    """Nor the database, of which it becomes a row."""
    registry = Registry(tmp_path / "home")
    with suppress(InvalidInputError):
        made = receive(registry.uploads, filename, b"x")
        path = registry.uploads.path(made.reference)
        assert path.parent == registry.home.uploads
        assert path.name.startswith(made.id)
        registry.uploads.delete(made.id)
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
    assert {path.name for path in registry.home.root.iterdir()} <= {"regraft.db", "uploads"}
