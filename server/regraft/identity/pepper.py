"""Secrets that are in no database: what hashes of API keys are keyed with, and what lets processes
into our Ray."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

BYTES = 32


def pepper(path: Path) -> bytes:
    """The secret in this file, which none but its owner can read; made if there is none."""
    if not path.exists():
        _make(path, secrets.token_bytes(BYTES))
    return path.read_bytes()


def token_file(path: Path) -> Path:
    """The file with a token in hexadecimal digits, which none but its owner can read; made if there
    is none."""
    if not path.exists():
        _make(path, secrets.token_hex(BYTES).encode())
    return path


def _make(path: Path, secret: bytes) -> None:
    """Whole or not at all, and never in the place of one that somebody else made meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink()
