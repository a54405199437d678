"""How many processors the control groups of this process let it use: its affinity does not tell."""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path("/")


@cache
def cpu_quota(root: Path = ROOT) -> int | None:
    """The least quota of its own group and those above, in processors and rounded up; None if
    there is none, or nothing that tells.

    Of either version: `cpu.max` (docs.kernel.org/admin-guide/cgroup-v2.html) or `cpu.cfs_quota_us`
    (docs.kernel.org/scheduler/sched-bwc.html).
    """
    quotas = [quota for group in _groups(root) if (quota := _quota(group)) is not None]
    return max(1, math.ceil(min(quotas))) if quotas else None


def _groups(root: Path) -> Iterator[Path]:
    """Inside a container the path may be the host's, of which no part but the mount is there."""
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers == "":
            yield from _upwards(mounts, path)
        elif "cpu" in controllers.split(","):
            yield from _upwards(mounts / "cpu", path)
            yield from _upwards(mounts / controllers, path)


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    parts = path.strip("/").split("/")
    return (mount.joinpath(*parts[:depth]) for depth in range(len(parts) + 1))


def _quota(group: Path) -> float | None:
    older = "cpu.cfs_quota_us", "cpu.cfs_period_us"
    text = _text(group / "cpu.max") or " ".join(_text(group / name) for name in older)
    try:
        quota, period = map(int, text.split())
    except ValueError:  # "max", or nothing
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
