"""What is costly to make and is kept from one run to the next: environments of clients that would
clash with each other, and the exports that tests start from."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cache() -> Path:
    """Where tests keep what is costly to make, from one run to the next."""
    given = os.environ.get("REGRAFT_TEST_CACHE", "~/.cache/regraft-tests")
    folder = Path(given).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


CLIENTS = {
    "triton": "tritonclient[http,grpc]==2.73.0",
    "kserve": "kserve==0.21.0",
    "mlserver": "mlserver==1.7.1",
}
"""What others wrote that is asked to talk to a server."""


def client(name: str) -> Path:
    """The Python of an environment with this client."""
    return client_python(name, CLIENTS[name])


def client_python(name: str, *requirements: str, python: str = sys.executable) -> Path:
    """The Python of an environment with these packages, made by the Python at `python`."""
    folder = cache() / "environments" / name
    own, done = folder / "bin" / "python", folder / "complete"
    with _alone(folder):
        if not done.is_file() or done.read_text() != " ".join(requirements):
            subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True, timeout=300)
            command = [str(own), "-m", "pip", "install", "--quiet", *requirements]
            subprocess.run(command, check=True, stdout=sys.stderr, timeout=600)
            done.write_text(" ".join(requirements))
    return own


def made_by_this_code(name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, once for each state of the code and of what it stands on."""
    folder = cache() / name / _code()
    with _alone(folder.parent):
        if not folder.is_dir():
            shutil.rmtree(folder.parent, ignore_errors=True)
            making = folder.with_name("making")
            make(making)
            making.rename(folder)
    return folder


def _code() -> str:
    """A digest of all that decides what is made."""
    digest = hashlib.sha256((ROOT / "constraints.txt").read_bytes())
    digest.update((ROOT / "tests" / "conftest.py").read_bytes())
    for path in sorted(p for part in ("server", "plugins") for p in (ROOT / part).rglob("*.py")):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process is in here for this folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for one in CLIENTS:
        client(one)
