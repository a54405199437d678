"""A `regraft serve` of its own for a benchmark or a test."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REGRAFT = [sys.executable, "-m", "regraft"]


def environment(home: Path, ray: Path) -> dict[str, str]:
    """The environment of a server that shares nothing with another."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**given, "REGRAFT_HOME": str(home), "REGRAFT_RAY_TEMP_DIR": str(ray)}


@contextmanager
def served(home: Path, *options: str) -> Iterator[str]:
    """The URL of a server on this home, which runs inside and is stopped by SIGTERM after."""
    with running(home, *options) as (_, url):
        yield url


@contextmanager
def running(home: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The same with its process, which may end earlier."""
    with tempfile.TemporaryDirectory(prefix="rg") as ray:
        process = subprocess.Popen(
            [*REGRAFT, "serve", "--port", "0", "--json", *options],
            env=environment(home, Path(ray)),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process, _url(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _url(process: "subprocess.Popen[str]") -> str:
    """What the server prints once it answers."""
    assert process.stdout is not None
    lines = ""
    for line in process.stdout:
        lines += line
        if line.startswith("}"):
            return str(json.loads(lines)["url"])
    raise RuntimeError(f"The server did not start: it exited with {process.wait()}.")
