"""Training on a Ray of the command's own: how it ends, and what it refuses."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
import pytest

from benchmarks.server import REGRAFT, environment
from regraft.registry.home import Home
from regraft.registry.store import Registry
from tests.server.processes import TIMEOUT, wait_until

pytestmark = pytest.mark.ray
GIVEN = ("--name", "trained", "--strategy", "full", "--json")


@pytest.fixture
def env(fresh_home: Home) -> Iterator[dict[str, str]]:
    """Of commands whose processes are known by a mark; what a failed test left is ended."""
    mark = uuid4().hex
    with tempfile.TemporaryDirectory(prefix="rg") as ray:
        yield {**environment(fresh_home.root, Path(ray)), "REGRAFT_TEST_MARK": mark}
        for pid in _children(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def start(env: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    command = [*REGRAFT, "adapt", *arguments, *GIVEN]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True)


def events(home: Home, kind: str) -> list[dict[str, Any]]:
    runs = Registry(home.root).runs
    return [e.data for run in runs.all() for e in runs.events(run.id) if e.kind == kind]


def test_ctrl_c_ends_the_run_as_cancelled_and_leaves_no_process(
    env: dict[str, str], fresh_home: Home, tweets: Path, tiny_bert: Path
) -> None:
    given = ("--source", str(tiny_bert), "--option", "epochs=100", "--option", "patience=100")
    process = start(env, str(tweets), *given)
    wait_until(lambda: events(fresh_home, "worker"), TIMEOUT, "the worker")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    (run,) = Registry(fresh_home.root).runs.all()
    assert run.state == "cancelled"
    assert Registry(fresh_home.root).models.versions() == []
    wait_until(lambda: not _children(env["REGRAFT_TEST_MARK"]), 20, "every process to end")


def _children(mark: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("REGRAFT_TEST_MARK") == mark:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_more_workers_than_the_machine_has_are_refused_with_the_figures(
    env: dict[str, str], tweets: Path, tiny_bert: Path
) -> None:
    process = start(env, str(tweets), "--source", str(tiny_bert), "--workers", "500")
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 2
    assert "500 workers need 500 CPUs" in err


def test_workers_compute_the_features_that_one_process_would(
    env: dict[str, str], fresh_home: Home, tweets: Path, tiny_bert: Path
) -> None:
    command = [*REGRAFT, "adapt", str(tweets), "--name", "probed", "--source", str(tiny_bert)]
    chosen = ["--strategy", "linear-probe", "--limit-rows", "1600", "--json"]
    features = fresh_home.features

    def adapted(*more: str) -> tuple[Any, dict[str, Any]]:
        done = subprocess.run([*command, *chosen, *more], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        kept = {path.name: np.load(path) for path in features.glob("*.npy")}
        for name in kept:
            (features / name).unlink()
        return json.loads(done.stdout)["metrics"], kept

    (alone, expected), (together, found) = adapted(), adapted("--workers", "2")
    assert set(found) == set(expected)
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)
    assert together["accuracy"] == pytest.approx(alone["accuracy"], abs=0.02)
    wait_until(lambda: not _children(env["REGRAFT_TEST_MARK"]), 20, "every process to end")
