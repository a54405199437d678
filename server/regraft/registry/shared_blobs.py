"""Blobs in a store that several machines share, such as S3; the home's are copies of them."""

import contextlib
import re
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from regraft.domain import Blob
from regraft.errors import InvalidInputError
from regraft.registry.blobs import (
    BlobStore,
    CorruptBlobError,
    Entry,
    write_pieces_atomically,
)

YOUNG_AGAIN = 43200.0
"""Seconds after which a blob that is stored again is written again: cleaning asks for its age, and
a store's files cannot be touched."""
PIECE = 2**20


class SharedBlobStore(BlobStore):
    """Blobs under a URI of `pyarrow.fs`, such as `s3://BUCKET/FOLDER?region=…`, in front of which
    the home keeps those that were needed here. A blob is stored once it is in the shared store.

    Source of the URIs: arrow.apache.org/docs/python/generated/pyarrow.fs.FileSystem.html.
    """

    def __init__(self, root: Path, uri: str) -> None:
        super().__init__(root)
        self.uri = uri

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """Only once it is needed: what the home has is read also while the store is away."""
        return open_store(self.uri)

    @property
    def files(self) -> Any:
        return self._opened[0]

    @property
    def base(self) -> str:
        """The folder in the store."""
        return self._opened[1]

    def check(self) -> None:
        self.files.get_file_info(self.base)

    def put(self, content: bytes) -> Blob:
        blob = super().put(content)
        found = self._info(blob.sha256)
        if found is None or found.size != blob.size or time.time() - found.changed > YOUNG_AGAIN:
            self._upload(blob.sha256, content)
        return blob

    def __contains__(self, sha256: object) -> bool:
        if super().__contains__(sha256):
            return True
        return isinstance(sha256, str) and self._info(sha256) is not None

    def verified(self, sha256: str) -> Path:
        """The path of the home's copy, which is fetched where it is not there or is damaged."""
        with contextlib.suppress(CorruptBlobError):
            return super().verified(sha256)
        try:
            write_pieces_atomically(self.path(sha256), self._pieces(sha256), durable=False)
        except FileNotFoundError as error:
            raise CorruptBlobError(f"The blob {sha256} is missing.") from error
        return super().verified(sha256)

    def entries(self) -> Iterator[Entry]:
        """Those of the shared store, and those that the home alone has."""
        from pyarrow import fs

        wanted = fs.FileSelector(f"{self.base}/sha256", allow_not_found=True, recursive=True)
        known = set()
        for info in self.files.get_file_info(wanted):
            if info.type == fs.FileType.File:
                known.add(info.base_name)
                yield Entry(info.base_name, info.size, info.mtime.timestamp())
        yield from (entry for entry in super().entries() if entry.sha256 not in known)

    def remove(self, sha256: str, before: float) -> bool:
        found = self._info(sha256)
        if found is None:
            return super().remove(sha256, before)
        if found.changed >= before:
            return False
        self.files.delete_file(self._key(sha256))
        self.path(sha256).unlink(missing_ok=True)
        return True

    def _upload(self, sha256: str, content: bytes) -> None:
        key = self._key(sha256)
        if self.files.type_name == "local":  # others have no folders
            self.files.create_dir(key.rpartition("/")[0])
        with self.files.open_output_stream(key) as stream:
            stream.write(content)

    def _key(self, sha256: str) -> str:
        return f"{self.base}/sha256/{sha256[:2]}/{sha256}"

    def _info(self, sha256: str) -> Entry | None:
        from pyarrow import fs

        info = self.files.get_file_info(self._key(sha256))
        if info.type != fs.FileType.File:
            return None
        return Entry(sha256, info.size, info.mtime.timestamp())

    def _pieces(self, sha256: str) -> Iterator[bytes]:
        with self.files.open_input_stream(self._key(sha256)) as stream:
            while piece := stream.read(PIECE):
                yield piece


def open_store(uri: str) -> tuple[Any, str]:
    import pyarrow
    from pyarrow import fs

    try:
        files, base = fs.FileSystem.from_uri(uri)
        # A bucket that is not there, or a key that is wrong, is told now.
        top = base.split("/")[0] or base
        if files.get_file_info(top).type == fs.FileType.NotFound:
            raise FileNotFoundError(f"'{top}' does not exist")
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        told = re.sub(r"\S*@", "…@", str(error))  # what is before it may be a secret
        raise InvalidInputError(
            f"The store of artefacts cannot be used (REGRAFT_ARTIFACTS): {told}. A URI such as "
            "s3://BUCKET/FOLDER?region=eu-central-1 is expected."
        ) from error
    return files, base.rstrip("/")
