"""The processes of a server under test."""

import contextlib
from pathlib import Path

import psutil

from regraft.reconcile.environment import INSTANCE, Instance


def instance_processes(home: Path) -> list[psutil.Process]:
    """Every process that the servers of this home started."""
    marker = Instance(home, Path("/"), 0).id
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(INSTANCE) == marker:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def replicas(home: Path) -> list[psutil.Process]:
    """The processes of the shared pool's replicas."""
    found = []
    for process in instance_processes(home):
        with contextlib.suppress(psutil.Error):
            if "ServeReplica:pool" in " ".join(process.cmdline()):
                found.append(process)
    return found


class PeakMemory:
    """How much the pool's replicas grow, in bytes, at their highest, from when this was made."""

    def __init__(self, home: Path) -> None:
        self.before = {process.pid: process.memory_info().rss for process in replicas(home)}
        for pid in self.before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets the high-water mark, proc(5)

    def growth(self) -> int:
        return max(_high_water(pid) - rss for pid, rss in self.before.items())


def _high_water(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
