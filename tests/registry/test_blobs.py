"""Blobs: complete or absent, and found out when damaged."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regraft.registry.blobs import BlobStore, CorruptBlobError, write_atomically


@given(content=st.binary(max_size=100))
def test_what_was_put_is_read_by_its_hash(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = BlobStore(tmp_path_factory.getbasetemp() / "blobs")
    blob = store.put(content)
    assert blob.sha256 in store
    assert store.read(blob.sha256) == content
    assert store.put(content) == blob


def test_failed_write_leaves_the_old_file_and_no_partial_one(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_failed_rename_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    store = BlobStore(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        store.put(b"content")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_damaged_blob_is_an_error_that_names_it(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = store.put(b"content")
    store.path(blob.sha256).write_bytes(b"c0ntent")
    with pytest.raises(CorruptBlobError, match=f"{blob.sha256} is damaged"):
        store.read(blob.sha256)


def test_missing_blob_is_an_error_that_names_it(tmp_path: Path) -> None:
    absent = "0" * 64
    assert absent not in BlobStore(tmp_path)
    with pytest.raises(CorruptBlobError, match=f"{absent} is missing"):
        BlobStore(tmp_path).verified(absent)


def test_what_is_damaged_is_whole_once_it_is_stored_again(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = store.put(b"content")
    store.path(blob.sha256).write_bytes(b"damaged")
    assert store.put(b"content") == blob
    assert store.read(blob.sha256) == b"content"


def test_a_flip_of_any_byte_is_found(tmp_path: Path) -> None:
    """At 64 offsets."""
    store = BlobStore(tmp_path)
    content = bytes(range(256)) * 16
    path = store.path(store.put(content).sha256)
    for offset in range(0, len(content), len(content) // 64):
        flipped = bytearray(content)
        flipped[offset] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(CorruptBlobError, match="damaged"):
            store.verified(path.name)


def test_a_full_disk_leaves_the_blob_absent(tmp_path: Path) -> None:
    """A real one, of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may mount no file system")
    try:
        store = BlobStore(disk)
        small = store.put(b"small")
        with pytest.raises(OSError, match="No space left"):
            store.put(os.urandom(8 * 2**20))
        assert [path.name for path in disk.rglob("*") if path.is_file()] == [small.sha256]
        assert store.read(small.sha256) == b"small"
        assert store.put(os.urandom(2**20)).sha256 in store
    finally:
        subprocess.run(["umount", str(disk)], check=True)
