"""Leftover processes: ended when they are ours, spared when they are not."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from regraft.reconcile.environment import INSTANCE
from regraft.reconcile.orphans import end_orphans

Start = Callable[..., "subprocess.Popen[str]"]
DEAF = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command with the marker of an instance, or with none."""
    started: list[subprocess.Popen[str]] = []

    def run(marker: str | None, *command: str) -> "subprocess.Popen[str]":
        environment = dict(os.environ) | ({INSTANCE: marker} if marker else {})
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_only_processes_of_the_instance_are_ended(start: Start) -> None:
    ours = start("ours-1", "sleep", "60")
    others = [start("theirs", "sleep", "60"), start(None, "sleep", "60")]
    assert end_orphans("ours-1", grace=5) == [ours.pid]
    assert [other.poll() for other in others] == [None, None]


def test_a_process_that_will_not_stop_is_killed(start: Start) -> None:
    deaf = start("ours-2", sys.executable, "-c", DEAF)
    assert deaf.stdout is not None
    deaf.stdout.readline()
    assert end_orphans("ours-2", grace=0.2) == [deaf.pid]


def test_the_caller_is_spared_even_with_the_marker(start: Start) -> None:
    call = "from regraft.reconcile.orphans import end_orphans; print(end_orphans('ours-3', 1))"
    caller = start("ours-3", sys.executable, "-c", call)
    assert caller.communicate(timeout=30)[0].strip() == "[]"
    assert caller.returncode == 0


def test_nothing_left_is_no_error() -> None:
    assert end_orphans("nobody", grace=1) == []
