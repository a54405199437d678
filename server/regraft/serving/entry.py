"""What the entry answers itself: whom HAProxy refuses, and those whom no replica answers. No
replica sees them, so one of those behind it counts what it tells."""

import contextlib
import csv
import fcntl
import os
import re
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from regraft.serving.metrics import SEVERAL

SOCKET_PATH = "RAY_SERVE_HAPROXY_SOCKET_PATH"
"""The environment variable that tells Ray, which puts a folder of the node's before the name."""
COMMAND = b"show info; show stat -1 6 -1\n"
"""Which process it is, and of all proxies the backends and their servers (HAProxy's management
guide, 9.3)."""
SECONDS = 1.0
TABLE = "# pxname,"
_PROCESS = re.compile(r"^Pid: (\d+)$", re.MULTILINE)
_BACKEND = re.compile(r"[a-z]+-(?:pool|endpoint-(\S+))")

Failures = Counter[str]
"""Answers of 5xx that came from no replica, by endpoint; those of the pool are of several."""


class Entry:
    """The HAProxies whose sockets are beside `path`, in folders of their nodes: those of this
    machine; none without a path. Of the replicas there the one counts that holds a lock. `count` is
    told of an endpoint and of how many failures there are more. What a HAProxy answers between the
    last look and its end, at a reload, is missed, as is what came before the first look at it."""

    def __init__(self, path: str | None, count: Callable[[str, int], None]) -> None:
        self.path = None if path is None else Path(path)
        self.count = count
        self.lock: int | None = None
        self.known: dict[Path, tuple[str, Failures]] = {}
        """By socket the process that told last, and what."""

    def look(self) -> None:
        """Count what came since the last look."""
        if self.path is None:
            return
        paths = sorted(self.path.parent.glob(f"*/{self.path.name}"))
        if not paths or not self._chosen(self.path.parent):
            return
        for path in paths:
            with contextlib.suppress(OSError):  # of a node that is gone, or too busy to tell
                self.known[path] = self._counted(path, *parsed(asked(path)))

    def _chosen(self, folder: Path) -> bool:
        if self.lock is None:
            self.lock = os.open(folder / "counted", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _counted(self, path: Path, process: str, found: Failures) -> tuple[str, Failures]:
        """What is known of it now. A server's answer is counted before its backend's, so that a
        difference may fall for a moment."""
        last, before = self.known.get(path, (process, found))
        if last != process:
            before = Failures()
        for endpoint, number in found.items():
            if number > before[endpoint]:
                self.count(endpoint, number - before[endpoint])
        return process, before | found


def asked(path: Path) -> str:
    """What the HAProxy with this socket tells; OSError where there is none any more."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        connection.sendall(COMMAND)
        return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()


def parsed(told: str) -> tuple[str, Failures]:
    """The process, and its failures."""
    process = _PROCESS.search(told)
    if process is None or TABLE not in told:
        raise OSError(f"HAProxy tells {told[:100]!r}.")
    found = Failures()
    for row in csv.DictReader(told[told.index(TABLE) + 2 :].splitlines()):
        backend = _BACKEND.fullmatch(row["pxname"])
        if backend is not None:
            answers = int(row["hrsp_5xx"] or 0)
            found[backend[1] or SEVERAL] += answers if row["svname"] == "BACKEND" else -answers
    return process[1], +found
