"""The processors that a control group lets a process use."""

from pathlib import Path

import pytest

from regraft.serving import sessions
from regraft.serving.quota import cpu_quota

V2, V1 = "0::/a/b\n", "9:name=systemd:/\n4:cpu,cpuacct:/a/b\n3:cpuset:/\n0::/a/b\n"


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """With these files of its groups; in their names `__` is a slash and `CPU_` is `cpu.`."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("CPU_", "cpu.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "processors"),
    [
        (V2, {"a__b__CPU_max": "200000 100000\n"}, 2),
        (V2, {"a__b__CPU_max": "150000 100000\n"}, 2),
        (V2, {"a__b__CPU_max": "20000 100000\n"}, 1),
        (V2, {"a__b__CPU_max": "max 100000\n"}, None),
        (V2, {"a__b__CPU_max": "max 100000\n", "a__CPU_max": "300000 100000\n"}, 3),
        (V2, {"a__b__CPU_max": "400000 100000\n", "a__CPU_max": "300000 100000\n"}, 3),
        ("0::/\n", {"CPU_max": "250000 100000\n"}, 3),
        ("0::/../../elsewhere\n", {"CPU_max": "200000 100000\n"}, 2),
        (V1, {"cpu__a__b__CPU_cfs_quota_us": "50000", "cpu__a__b__CPU_cfs_period_us": "25000"}, 2),
        (V1, {"cpu__a__b__CPU_cfs_quota_us": "-1\n", "cpu__a__b__CPU_cfs_period_us": "9\n"}, None),
        (V1, {"cpu__CPU_cfs_quota_us": "-1\n"}, None),
        (
            V1,
            {"cpu,cpuacct__CPU_cfs_quota_us": "300000", "cpu,cpuacct__CPU_cfs_period_us": "100000"},
            3,
        ),
        (V2, {"a__b__CPU_max": "what\n"}, None),
        ("no line of a group\n", {"CPU_max": "max 100000\n"}, None),
    ],
)
def test_the_least_quota_of_a_group_and_those_above_counts(
    tmp_path: Path, cgroup: str, files: dict[str, str], processors: int | None
) -> None:
    assert cpu_quota(machine(tmp_path, cgroup, **files)) == processors


def test_a_machine_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "most"), [(None, 8), (2, 2), (64, 8)])
def test_available_are_those_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, quota: int | None, most: int
) -> None:
    monkeypatch.setattr(sessions, "cpu_quota", lambda: quota)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert sessions.available_cpus() == most
