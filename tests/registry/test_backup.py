"""A home in one file, and back."""

import asyncio
import copy
from collections.abc import AsyncIterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from regraft.domain import AdaptationSpec
from regraft.errors import ConflictError, InvalidInputError
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.backup import backup, restore
from regraft.registry.endpoint_table import revisions
from regraft.registry.home import Home
from regraft.registry.store import Registry


async def chunks() -> AsyncIterator[bytes]:
    yield b"text,label\na,b\n"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry(tmp_path / "home")
    made.models.publish("reviews", made.blobs.put(b"manifest"), {}, promote=True)
    made.runs.submit(AdaptationSpec(name="reviews", source="a", data="dataset:d-0"))
    return made


def test_what_was_there_is_there_again(registry: Registry, tmp_path: Path) -> None:
    upload = asyncio.run(registry.uploads.receive("rows.csv", chunks(), 100))
    key = registry.keys.create(NewKey(name="a-key", scopes=[Scope.PREDICT]))["key"]
    made = backup(registry, tmp_path / "copy.zip")
    assert made["bytes"] == (tmp_path / "copy.zip").stat().st_size
    restore(tmp_path / "copy.zip", Home(tmp_path / "other"))
    other = Registry(tmp_path / "other")
    assert other.models.versions() == registry.models.versions()
    assert other.blobs.read(other.models.version("reviews").manifest.sha256) == b"manifest"
    assert other.runs.all() == registry.runs.all()
    assert other.uploads.path(upload.reference).read_bytes() == b"text,label\na,b\n"
    assert other.keys.authenticator()(f"Bearer {key}").project == "default"
    assert revisions(other.home.tables) == [1]
    assert other.home.pepper.stat().st_mode & 0o777 == 0o600


def test_nobody_else_reads_a_backup_and_none_is_overwritten(
    registry: Registry, tmp_path: Path
) -> None:
    backup(registry, tmp_path / "copy.zip")
    assert (tmp_path / "copy.zip").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConflictError, match="exists already"):
        backup(registry, tmp_path / "copy.zip")


def test_a_home_that_is_there_is_not_touched(registry: Registry, tmp_path: Path) -> None:
    backup(registry, tmp_path / "copy.zip")
    with pytest.raises(ConflictError, match="is not empty"):
        restore(tmp_path / "copy.zip", registry.home)


def rewritten(
    source: Path, target: Path, name: str, content: bytes, compression: int = ZIP_STORED
) -> Path:
    """The same archive with one file of another content, or one more."""
    with ZipFile(source) as old, ZipFile(target, "w") as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
        new.writestr(name, content, compression)
    return target


EVIL = [
    *("../evil", "/etc/evil", "uploads/../../evil", "blobs/evil", "x", "/", ".", ".."),
    "./evil",
    *("uploads/d-../../evil", "uploads/d-1/evil", "uploads/evil", "uploads/d-", "uploads//d-evil"),
    *("UPLOADS/d-evil", "uploads/d-Evil", "uploads/d-evil ", "uploads\\..\\evil", "C:\\evil"),
    *("uploads/d-evil..csv", "blobs/sha256/aa/evil", f"blobs/sha256/../{'a' * 64}", "~/evil"),
    *(f"blobs/sha256/aa/{'a' * 63}", f"blobs/sha256/aa/{'A' * 64}", "pepper/evil", "keys.json/"),
    *("regraft.db/evil", "regraft.db-journal", "endpoints/000000000001.json", "ray-token"),
]


@pytest.mark.parametrize("name", EVIL)
def test_an_archive_that_holds_anything_else_is_refused(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    backup(registry, tmp_path / "copy.zip")
    bad = rewritten(tmp_path / "copy.zip", tmp_path / "bad.zip", name, b"x")
    with pytest.raises(InvalidInputError, match="what regraft does not keep"):
        restore(bad, Home(tmp_path / "other"))
    assert not (tmp_path / "other").exists()
    assert not list(tmp_path.rglob("evil"))


def test_a_link_is_written_as_the_text_that_it_is(registry: Registry, tmp_path: Path) -> None:
    backup(registry, tmp_path / "copy.zip")
    link = ZipInfo("uploads/d-link.csv")
    link.external_attr = 0o120777 << 16
    with ZipFile(tmp_path / "copy.zip", "a") as archive:
        archive.writestr(link, "/etc/passwd")
    restore(tmp_path / "copy.zip", Home(tmp_path / "other"))
    made = tmp_path / "other" / "uploads" / "d-link.csv"
    assert not made.is_symlink()
    assert made.read_text() == "/etc/passwd"


def test_entries_that_share_their_bytes_are_refused(registry: Registry, tmp_path: Path) -> None:
    """Of which a small archive could hold any number (CVE-2024-0450)."""
    backup(registry, tmp_path / "copy.zip")
    with ZipFile(tmp_path / "copy.zip", "a") as archive:
        archive.writestr("uploads/d-0.csv", b"0" * 10**5)
        first = archive.getinfo("uploads/d-0.csv")
        for number in range(1, 50):
            other = copy.copy(first)
            other.filename = other.orig_filename = f"uploads/d-{number}.csv"
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(InvalidInputError, match="cannot be read: entries overlap"):
        restore(tmp_path / "copy.zip", Home(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["uploads/d-0.csv", "regraft.db"])
def test_a_small_archive_becomes_no_large_home(
    registry: Registry, tmp_path: Path, name: str
) -> None:
    backup(registry, tmp_path / "copy.zip")
    bad = rewritten(tmp_path / "copy.zip", tmp_path / "bad.zip", name, b"0" * 10**6, ZIP_DEFLATED)
    with pytest.raises(InvalidInputError, match="compressed"):
        restore(bad, Home(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_a_damaged_blob_is_found_and_nothing_is_left(registry: Registry, tmp_path: Path) -> None:
    backup(registry, tmp_path / "copy.zip")
    sha256 = registry.models.version("reviews").manifest.sha256
    name = f"blobs/sha256/{sha256[:2]}/{sha256}"
    bad = rewritten(tmp_path / "copy.zip", tmp_path / "bad.zip", name, b"manifesto")
    with pytest.raises(InvalidInputError, match="damaged"):
        restore(bad, Home(tmp_path / "other"))
    assert {path.name for path in tmp_path.iterdir()} == {"home", "copy.zip", "bad.zip"}


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        restore(tmp_path / "text.zip", Home(tmp_path / "other"))
