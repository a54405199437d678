"""Processes that a server left behind, found by the marker that all its children inherit.

When `regraft serve` is killed, HAProxy stays, holds the port and answers 500. Names and ports do
not tell whose process it is; the environment it was started with does.
"""

import contextlib
import signal
from collections.abc import Iterator

import psutil

from regraft.reconcile.environment import INSTANCE


def end_orphans(instance_id: str, grace: float) -> list[int]:
    """Ends every process of the instance but the caller and its ancestors; their pids.

    Each is asked to stop, and killed where it has not after `grace` seconds. The caller makes sure
    that no server of the instance is running: that one's processes are no orphans.
    """
    orphans = list(_marked(instance_id))
    for process in orphans:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(orphans, timeout=grace)
    # A supervisor that was asked to stop may have started something in the meantime.
    last = {*alive, *_marked(instance_id)}
    for process in last:
        _signal(process, kill=True)
    psutil.wait_procs(list(last), timeout=grace)
    return sorted({process.pid for process in (*orphans, *last)})


def drain_entries(instance_id: str, seconds: float) -> None:
    """Have every HAProxy of the instance take nothing new, answer what it took, and end, within so
    many seconds. Ray itself kills it at once, whatever it is about to answer."""
    entries = [process for process in _marked(instance_id) if _name(process) == "haproxy"]
    for process in entries:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGUSR1)
    psutil.wait_procs(entries, timeout=seconds)


def _name(process: psutil.Process) -> str | None:
    try:
        return str(process.name())
    except psutil.Error:
        return None


def _marked(instance_id: str) -> Iterator[psutil.Process]:
    caller = psutil.Process()
    spared = {caller.pid, *(ancestor.pid for ancestor in caller.parents())}
    for process in psutil.process_iter():
        if process.pid not in spared and _marker(process) == instance_id:
            yield process


def _marker(process: psutil.Process) -> str | None:
    # Other users' processes, zombies and processes just ended show no environment; none is ours.
    try:
        marker: str | None = process.environ().get(INSTANCE)
    except (psutil.Error, OSError):
        return None
    return marker


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
