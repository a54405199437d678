"""Files of counts: each replica has its own beside those of the others. Those of replicas that are
gone become one, so that no counter falls and there are never many."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from regraft.registry.blobs import write_pieces_atomically

ALIVE = 60.0
"""Seconds after which a replica says again that it lives, where it has nothing new to tell."""
GONE = 3600.0
"""Seconds of silence after which it is gone."""
TRIES = 5
"""To read what is folded meanwhile, which is done once an hour."""
SUM = ".sum"


class CountFile:
    """That of one replica; it is there once something was counted."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.path = folder / f"{os.getpid()}-{uuid4().hex}{suffix}"
        self.touched = 0.0

    def write(self, lines: Iterable[bytes]) -> None:
        write_pieces_atomically(self.path, lines, durable=False)
        self.touched = time.monotonic()

    def keep(self) -> None:
        """What it holds is still true."""
        if self.touched and time.monotonic() - self.touched > ALIVE:
            self.touched = time.monotonic()
            with contextlib.suppress(FileNotFoundError):  # the server began anew
                os.utime(self.path)


def read(folder: Path, suffix: str, but: Path | None = None) -> Iterator[bytes]:
    """The lines of all replicas that there are, or were since the server started, but for those of
    this file."""
    for _ in range(TRIES - 1):
        try:
            return iter(_read(folder, suffix, but))
        except FileNotFoundError:
            continue  # it went into the sum
    return iter(_read(folder, suffix, but))


def _read(folder: Path, suffix: str, but: Path | None) -> list[bytes]:
    """Files are listed before the sum is read, which tells of which it is: none counts twice, and
    one that goes meanwhile is missed."""
    listed = [path for path in folder.glob(f"*{suffix}") if path != but]
    names, lines = _sum(folder, suffix)
    for path in listed:
        if path.name not in names:
            lines += path.read_bytes().splitlines()
    return lines


def fold(
    folder: Path,
    suffix: str,
    summed: Callable[[Iterable[bytes]], Iterable[bytes]],
    now: float | None = None,
) -> None:
    """Have one file of what replicas that are gone have left; `summed` adds lines up."""
    now = time.time() if now is None else now
    names, lines = _sum(folder, suffix)
    gone = []
    for path in folder.glob(f"*{suffix}"):
        if path.name in names:  # the process ended that was to remove it
            path.unlink()
        elif now - path.stat().st_mtime > GONE:
            gone.append(path)
    if not gone:
        return
    for path in gone:
        lines += path.read_bytes().splitlines()
    head = json.dumps([path.name for path in gone]).encode()
    pieces = (line + b"\n" for line in (head, *summed(lines)))
    write_pieces_atomically(folder / f"gone{suffix}{SUM}", pieces, durable=False)
    for path in gone:
        path.unlink()


def _sum(folder: Path, suffix: str) -> tuple[set[str], list[bytes]]:
    """The names of the files that went into it last, and its lines."""
    try:
        head, *lines = (folder / f"gone{suffix}{SUM}").read_bytes().splitlines()
    except FileNotFoundError:
        return set(), []
    return set(json.loads(head)), lines
