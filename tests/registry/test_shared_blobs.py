"""Blobs on a real S3 server, of which homes keep copies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from regraft.errors import InvalidInputError
from regraft.identity.caller import EVERYTHING
from regraft.registry.blobs import CorruptBlobError
from regraft.registry.home import Home
from regraft.registry.shared_blobs import SharedBlobStore
from regraft.registry.store import Registry
from regraft.settings import Settings


@pytest.fixture
def uri(s3: str, request: pytest.FixtureRequest) -> str:
    before, mark, options = s3.partition("?")
    return f"{before}/{abs(hash(request.node.name))}{mark}{options}"


@pytest.fixture
def store(uri: str, tmp_path: Path) -> SharedBlobStore:
    return SharedBlobStore(tmp_path / "one", uri)


def remote(store: SharedBlobStore) -> Iterator[str]:
    """The keys that the server has, by a listing of its own."""
    wanted = fs.FileSelector(store.base, recursive=True, allow_not_found=True)
    for info in store.files.get_file_info(wanted):
        if info.type == fs.FileType.File:
            yield info.path


def overwrite(store: SharedBlobStore, content: bytes) -> None:
    (key,) = remote(store)
    with store.files.open_output_stream(key) as stream:
        stream.write(content)


def test_what_one_home_stored_another_reads_and_keeps(
    store: SharedBlobStore, uri: str, tmp_path: Path
) -> None:
    blob = store.put(b"content" * 1_000_000)
    other = Home(tmp_path / "two", uri).blobs
    assert blob.sha256 in other
    assert not other.path(blob.sha256).exists()
    assert other.read(blob.sha256) == b"content" * 1_000_000
    assert other.path(blob.sha256).stat().st_size == blob.size
    store.files.delete_file(next(remote(store)))
    assert other.read(blob.sha256) == b"content" * 1_000_000


def test_what_the_home_has_is_read_while_the_store_is_away(
    store: SharedBlobStore, tmp_path: Path
) -> None:
    blob = store.put(b"content")
    away = SharedBlobStore(tmp_path / "one", "s3://key:a-secret@bucket?endpoint_override=0.0.0.0:1")
    assert blob.sha256 in away
    assert away.read(blob.sha256) == b"content"


def test_a_damaged_copy_is_fetched_again(store: SharedBlobStore) -> None:
    blob = store.put(b"content")
    store.path(blob.sha256).write_bytes(b"damaged")
    assert store.read(blob.sha256) == b"content"
    assert store.path(blob.sha256).read_bytes() == b"content"


def test_what_is_damaged_on_the_server_is_not_used(
    store: SharedBlobStore, uri: str, tmp_path: Path
) -> None:
    blob = store.put(b"content")
    overwrite(store, b"damaged")
    other = SharedBlobStore(tmp_path / "two", uri)
    with pytest.raises(CorruptBlobError, match=f"{blob.sha256} is damaged"):
        other.verified(blob.sha256)


def test_what_was_cut_short_is_whole_once_it_is_stored_again(
    store: SharedBlobStore, uri: str, tmp_path: Path
) -> None:
    blob = store.put(b"content")
    overwrite(store, b"con")
    store.put(b"content")
    assert SharedBlobStore(tmp_path / "two", uri).read(blob.sha256) == b"content"


def test_a_blob_that_nobody_stored_is_missing(store: SharedBlobStore) -> None:
    absent = "0" * 64
    assert absent not in store
    with pytest.raises(CorruptBlobError, match=f"{absent} is missing"):
        store.verified(absent)


def test_a_blob_is_removed_from_both_unless_it_is_young(store: SharedBlobStore) -> None:
    blob = store.put(b"content")
    (entry,) = store.entries()
    assert (entry.sha256, entry.size) == (blob.sha256, blob.size)
    assert not store.remove(blob.sha256, entry.changed - 60)
    assert store.read(blob.sha256) == b"content"
    assert store.remove(blob.sha256, entry.changed + 60)
    assert list(remote(store)) == []
    assert blob.sha256 not in store


@pytest.mark.parametrize(
    ("old", "new"),
    [("a-secret", "another"), ("@artifacts", "@nosuch"), ("s3://", "ftp://"), ("s3://", "")],
)
def test_a_store_that_cannot_be_used_is_told_at_once(
    s3: str, tmp_path: Path, old: str, new: str
) -> None:
    with pytest.raises(InvalidInputError, match="REGRAFT_ARTIFACTS") as told:
        SharedBlobStore(tmp_path, s3.replace(old, new)).check()
    assert "a-secret" not in str(told.value)


def test_a_folder_that_machines_share_is_a_store_too(tmp_path: Path) -> None:
    folder = tmp_path / "mount"
    folder.mkdir()
    blob = SharedBlobStore(tmp_path / "one", folder.as_uri()).put(b"content")
    assert SharedBlobStore(tmp_path / "two", folder.as_uri()).read(blob.sha256) == b"content"


def test_each_node_has_copies_of_its_own(uri: str, tmp_path: Path) -> None:
    homes = [Home(tmp_path / "home", uri, tmp_path / node) for node in ("one", "two")]
    blob = homes[0].blobs.put(b"content")
    copies = [tmp_path / node / "sha256" / blob.sha256[:2] / blob.sha256 for node in ("one", "two")]
    assert [copy.exists() for copy in copies] == [True, False]
    assert homes[1].blobs.read(blob.sha256) == b"content"
    assert copies[1].read_bytes() == b"content"
    assert not (tmp_path / "home/blobs").exists()


def test_what_is_published_is_within_the_view_of_the_same_node(uri: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", artifacts=uri, node_cache=tmp_path / "node")
    registry = Registry.of(settings)
    assert registry.blobs.root == registry.within(EVERYTHING).blobs.root == tmp_path / "node/sha256"


def test_a_folder_that_depends_on_where_one_is_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"must be an absolute path .*'copies'"):
        Settings(artifacts=uri, node_cache=Path("copies"))
