"""Commands and processes of a server under test."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from benchmarks.server import REGRAFT

TIMEOUT = 300


def regraft(env: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [*REGRAFT, *arguments], env=env, capture_output=True, text=True, timeout=TIMEOUT
    )


def adapt(env: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The JSON of a `regraft adapt` that succeeds; its version answers, however bad it is."""
    done = regraft(env, "adapt", *arguments, "--force", "--json")
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


MOST_SECONDS = 2.0
MOST_GROWTH = 64 * 2**20


def check_refusals(found: dict[str, Any], expected: dict[str, tuple[str, str]]) -> None:
    """Each was refused in time, with the status and the words that are expected of it."""
    for name, (wanted, message) in expected.items():
        status, told, seconds = found[name]
        assert status == wanted, found[name]
        assert message in told
        assert seconds < MOST_SECONDS


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What the condition gives once it is true; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")
