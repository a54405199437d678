"""A strategy of somebody else's, installed with pip, is equal to ours."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks.server import environment
from regraft.registry.home import Home
from tests.server.processes import adapt, regraft

STRATEGY = '''
import torch
from regraft import LinearHead, TransferStrategy, hookimpl

class NearestMean(TransferStrategy):
    """Distances to class means."""
    name, kind, summary, freezes_backbone = "nearest-mean", "feature", "Class means", True
    def fit(self, features, targets, folds):
        f, y = torch.tensor(features), torch.tensor(targets)
        means = torch.stack([f[y == c].mean(0) for c in y.unique()])
        return LinearHead((2 * means).numpy(), -(means ** 2).sum(1).numpy())

@hookimpl
def register_strategies():
    return [NearestMean]
'''
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "1.0"
[project.entry-points.regraft]
{name} = "{name}"
"""
KIT = """
from regraft.plugins import Plugins
from regraft.testing import check_strategy
check_strategy(Plugins.load().strategy("nearest-mean"))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH into which pip installed a good plugin and a broken one."""
    target = tmp_path_factory.mktemp("site")
    sources = {"nearest_mean": STRATEGY, "broken_one": "import nothing_of_this_name\n"}
    for name, source in sources.items():
        project = tmp_path_factory.mktemp(name)
        (project / "pyproject.toml").write_text(PROJECT.format(name=name))
        (project / f"{name}.py").write_text(textwrap.dedent(source))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--target", str(target), str(project)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return target


@pytest.fixture
def env(installed: Path, fresh_home: Home, tmp_path: Path) -> dict[str, str]:
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    return {**environment(fresh_home.root, tmp_path), "PYTHONPATH": path}


def test_appears_beside_ours_and_a_broken_one_is_listed_with_its_reason(
    env: dict[str, str],
) -> None:
    names = [row["name"] for row in json.loads(regraft(env, "strategies", "--json").stdout)]
    assert {"nearest-mean", "linear-probe"} <= set(names)
    rows = {row["name"]: row for row in json.loads(regraft(env, "plugins", "--json").stdout)}
    assert rows["nearest_mean"]["state"] == "LOADED"
    assert rows["broken_one"]["state"] == "FAILED"
    assert "nothing_of_this_name" in rows["broken_one"]["reason"]


def test_passes_the_kit(env: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", KIT], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_trains_and_serving_it_imports_no_torch(
    env: dict[str, str], tweets: Path, tiny_bert: Path
) -> None:
    given = ("--name", "theirs", "--source", str(tiny_bert), "--limit-rows", "200")
    result = adapt(env, str(tweets), *given, "--strategy", "nearest-mean")
    assert result["strategy"] == "nearest-mean"
    code = (
        "import sys; from pathlib import Path; from regraft.registry.endpoint_table import *\n"
        "from regraft.serving.pool import new_pool; from regraft.registry.home import Home\n"
        "from regraft.serving.sessions import Runtime; home = Home(Path(sys.argv[1]))\n"
        "table = EndpointTable.read(home.tables, revisions(home.tables)[-1])\n"
        "predictor = new_pool(home, Runtime(1, False, home.optimised))._open(table.routes[-1])\n"
        "assert predictor.predict(['fine'])['label'].shape == (1,)\n"
        "assert not {'torch', 'transformers', 'sklearn', 'nearest_mean'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, env["REGRAFT_HOME"]]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
