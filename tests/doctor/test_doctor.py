"""Faults that are planted in a home or in what surrounds it: each is found, with its mend."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from regraft.cli.doctor import doctor
from regraft.contract import Feature, TensorSpec, TextInputs
from regraft.doctor.examination import CHECKS, examine
from regraft.domain import AdaptationSpec
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.manifest import InputsRecord, Manifest, TaskReference
from regraft.registry.store import Registry
from regraft.settings import Settings


@pytest.fixture
def port() -> int:
    """One that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path) -> Registry:
    """A home with a published model, whose blobs hold anything, and a key."""
    registry = Registry(tmp_path / "home")
    parts = ("backbone", "head", "report")
    blobs = {part: registry.blobs.put(part.encode() * 9) for part in parts}
    tensors = (TensorSpec("input_ids", "INT64", ("batch", "length")),)
    manifest = Manifest(
        task=TaskReference(name="a-task", entry_point="a", distribution="a", version="1"),
        labels=("a", "b"),
        feature=Feature("last", "pooled", 4),
        inputs=InputsRecord.store(TextInputs(tensors, b"tokens", 128), registry.blobs),
        parity={},
        lineage={},
        **blobs,
    )
    registry.models.publish("reviews", manifest.store(registry.blobs), {}, promote=True)
    registry.keys.create(NewKey(name="a-key", scopes=[Scope.PREDICT]))
    return registry


def ill(registry: Registry, **settings: Any) -> dict[str, Any]:
    """By check what was found, of those that found something."""
    given = {"home": registry.home.root, "port": 0, **settings}
    found = {one.check: one.findings for one in examine(Settings(**given))}
    assert found.keys() <= CHECKS.keys()
    return {check: findings for check, findings in found.items() if findings}


def a_blob(registry: Registry, part: str) -> Path:
    version = registry.models.versions()[0]
    manifest = json.loads(registry.blobs.read(version.manifest.sha256))
    return registry.blobs.path(manifest[part]["sha256"])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def damaged(registry: Registry) -> None:
    flip(a_blob(registry, "backbone"))


def missing(registry: Registry) -> None:
    a_blob(registry, "head").unlink()


def newer(registry: Registry) -> None:
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")


def broken(registry: Registry) -> None:
    registry.engine.dispose()
    path = registry.home.root / "regraft.db"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def no_table(registry: Registry) -> None:
    for path in registry.home.tables.glob("*.json"):
        path.unlink()


def readable(registry: Registry) -> None:
    registry.home.pepper.chmod(0o644)


def no_keys(registry: Registry) -> None:
    registry.home.keys.unlink()


def forgotten(registry: Registry) -> None:
    spec = AdaptationSpec(name="lost", source="a", data="dataset:d-0")
    run, _ = registry.runs.submit(spec, on_server=True)
    registry.runs.start(run.id)


def half_written(registry: Registry) -> None:
    path = registry.blobs.root / ".part-x"
    path.write_bytes(b"x")
    os.utime(path, (0, 0))


PLANTED = [
    (damaged, "blobs", "is damaged", "adapt again"),
    (missing, "blobs", "is missing", "Restore a copy"),
    (newer, "registry", "made by another regraft", "REGRAFT_DATABASE"),
    (broken, "registry", "malformed", "regraft restore"),
    (no_table, "endpoint table", "is not the database's", "Restart the server"),
    (readable, "keys", "can read", "chmod 600"),
    (no_keys, "keys", "file of API keys", "regraft keys create"),
    (forgotten, "adaptations", "is said to run", "Start a server"),
    (half_written, "leftovers", "half written", "-delete"),
]


@pytest.mark.parametrize(("plant", "check", "problem", "mend"), PLANTED)
def test_a_planted_fault_is_found_with_its_mend(
    home: Registry, plant: Callable[[Registry], None], check: str, problem: str, mend: str
) -> None:
    plant(home)
    found = ill(home)
    assert check in found
    assert problem in found[check][0].problem
    assert mend in found[check][0].mend


def test_a_healthy_home_has_nothing(home: Registry) -> None:
    assert ill(home) == {}


def test_a_port_that_somebody_holds_is_found(home: Registry, port: int) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        (finding,) = ill(home, port=port)["listening"]
    assert str(port) in finding.problem
    assert "REGRAFT_PORT" in finding.mend
    assert ill(home, port=port) == {}


def test_a_server_that_would_not_start_is_told_why(home: Registry) -> None:
    (finding,) = ill(home, host="0.0.0.0")["listening"]
    assert "REGRAFT_AUTH=true" in finding.mend
    assert ill(home, host="0.0.0.0", auth=True) == {}


def test_a_folder_in_which_ray_cannot_make_its_sockets_is_found(home: Registry) -> None:
    (finding,) = ill(home, ray_temp_dir=Path("/tmp") / ("x" * 80))["Ray"]
    assert "REGRAFT_RAY_TEMP_DIR" in finding.mend


def test_a_gpu_that_is_not_there_is_found(home: Registry) -> None:
    assert "REGRAFT_USE_GPU" in ill(home, use_gpu=True)["onnxruntime"][0].problem


def test_a_plugin_that_does_not_load_is_found(
    home: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site" / "broken_plugin-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[regraft]\nbroken = no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (finding,) = ill(home)["plugins"]
    assert finding.problem.startswith("Plugin 'broken' of broken-plugin: cannot be imported")
    assert finding.mend.endswith("pip install -U broken-plugin")


def test_the_command_tells_it_and_its_exit_code_too(
    home: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGRAFT_PORT", "0")
    command = ["--home", str(home.home.root)]
    well = CliRunner().invoke(doctor, command)
    assert (well.exit_code, well.output.count("✓")) == (0, len(CHECKS))
    readable(home)
    ill = CliRunner().invoke(doctor, [*command, "--json"])
    assert ill.exit_code == 1
    found = {one["check"]: one["findings"] for one in json.loads(ill.output)}
    assert "chmod 600" in found["keys"][0]["mend"]
