"""Environments of clients that would clash with each other, built once into a cache."""

import fcntl
import os
import subprocess
import sys
import venv
from pathlib import Path


def cache() -> Path:
    """Where tests keep what is costly to make, from one run to the next."""
    given = os.environ.get("REGRAFT_TEST_CACHE", "~/.cache/regraft-tests")
    folder = Path(given).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def client_python(name: str, *requirements: str) -> Path:
    """The Python of an environment with these packages."""
    folder = cache() / "environments" / name
    folder.parent.mkdir(exist_ok=True)
    python, done = folder / "bin" / "python", folder / "complete"
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.is_file() or done.read_text() != " ".join(requirements):
            venv.create(folder, with_pip=True, clear=True)
            command = [str(python), "-m", "pip", "install", "--quiet", *requirements]
            subprocess.run(command, check=True, stdout=sys.stderr, timeout=600)
            done.write_text(" ".join(requirements))
    return python
