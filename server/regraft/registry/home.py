"""The home directory: what lies where, and which server owns it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from regraft.errors import ConflictError, InvalidInputError
from regraft.registry.blobs import BlobStore
from regraft.registry.endpoint_table import stopping
from regraft.registry.shared_blobs import SharedBlobStore

TRIES, PAUSE = 10, 0.05
"""Of an owner to lock the home, seconds apart, while others look whether it is owned."""


@dataclass(frozen=True)
class Home:
    """Paths under one root. Everything durable is in the database and the blobs. These are in the
    store at the URI `artifacts` if there is one, of which the home then has copies, or else the
    folder `node_cache` of this machine."""

    root: Path
    artifacts: str | None = None
    node_cache: Path | None = None

    @cached_property
    def blobs(self) -> BlobStore:
        folder = self.root / "blobs"
        if self.artifacts:
            return SharedBlobStore(self.node_cache or folder, self.artifacts)
        return BlobStore(folder)

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.root / 'regraft.db'}"

    @property
    def tables(self) -> Path:
        return self.root / "endpoints"

    @property
    def stopping(self) -> Path:
        """Is there while the server stops: what asks whether it is ready shall send no more."""
        return stopping(self.tables)

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def optimised(self) -> Path:
        """Graphs as this machine runs them; made anew where they are missing."""
        return self.cache / "optimised"

    @property
    def features(self) -> Path:
        """What frozen backbones said of rows; computed anew where it is missing."""
        return self.cache / "features"

    @property
    def statistics(self) -> Path:
        """What replicas counted since the server started, a file each."""
        return self.cache / "statistics"

    @property
    def predictions(self) -> Path:
        """What replicas predicted, on its way into the database."""
        return self.root / "predictions"

    @property
    def keys(self) -> Path:
        """The API keys that are good, by their hashes: for whoever checks one."""
        return self.root / "keys.json"

    @property
    def pepper(self) -> Path:
        """What the hashes are keyed with."""
        return self.root / "pepper"

    @property
    def ray_token(self) -> Path:
        """What lets processes into the Ray that is started for this home."""
        return self.root / "ray-token"

    @property
    def deployed(self) -> Path:
        """By what the applications on Ray Serve were deployed last."""
        return self.root / "deployed"

    @property
    def uploads(self) -> Path:
        return self.root / "uploads"

    def run(self, adaptation: str) -> Path:
        """The working directory of one adaptation."""
        return self.root / "runs" / adaptation

    @property
    def lock(self) -> Path:
        return self.root / "server.json"

    def create(self) -> "Home":
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise InvalidInputError(f"The home {self.root} is a file, not a directory.") from error
        except OSError as error:
            reason = error.strerror or error
            raise InvalidInputError(f"The home {self.root} cannot be made: {reason}.") from error
        return self

    def server_url(self) -> str | None:
        """The URL of the server that owns this home, if one runs."""
        try:
            with self.lock.open() as file:
                return None if _locks(file, fcntl.LOCK_SH) else str(json.load(file)["url"])
        except (OSError, ValueError, KeyError):
            return None

    @contextmanager
    def owned_by(self, url: str, grpc: str = "") -> Iterator[None]:
        """Own this home as the server at `url`, and at HOST:PORT for gRPC; the kernel frees the
        lock if the process dies."""
        self.create()
        with self.lock.open("a+") as file:
            if not _becomes_ours(file):
                raise ConflictError(f"A server already owns {self.root}: {self.server_url()}.")
            file.truncate(0)
            file.write(json.dumps({"url": url, "grpc": grpc, "pid": os.getpid()}))
            file.flush()
            yield


def _becomes_ours(file: IO[str]) -> bool:
    for _ in range(TRIES):
        if _locks(file, fcntl.LOCK_EX):
            return True
        time.sleep(PAUSE)
    return False


def _locks(file: IO[str], kind: int) -> bool:
    """Whether the lock is ours now; those who only look take a shared one, for a moment."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
