"""Copies of graphs that are optimised for this machine and shared by its processes."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from regraft.registry.home import Home
from regraft.serving import optimised, sessions
from regraft.serving.optimised import WEIGHTS, optimised_copy
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime

BATCH = {
    "input_ids": np.array([[3, 1, 2, 0], [3, 2, 2, 2]]),
    "attention_mask": np.array([[1, 1, 1, 0], [1, 1, 1, 1]]),
}


@pytest.fixture
def blob(exported: Home) -> Path:
    """The smaller of the exported graphs."""
    found = [path for path in exported.blobs.root.rglob("*") if path.is_file()]
    return min(found, key=lambda path: path.stat().st_size)


def test_the_copy_says_exactly_what_the_graph_says(blob: Path, tmp_path: Path) -> None:
    plain, copied = Backbone(blob, Runtime()), Backbone(blob, Runtime(optimised=tmp_path))
    assert np.array_equal(plain.features(BATCH), copied.features(BATCH))


def test_a_copy_is_made_once(blob: Path, tmp_path: Path) -> None:
    first = optimised_copy(blob, tmp_path)
    assert first is not None
    made = first.stat().st_mtime_ns
    assert optimised_copy(blob, tmp_path) == first
    assert first.stat().st_mtime_ns == made
    assert [path.name for path in tmp_path.iterdir()] == [first.parent.name]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_weights_are_mapped_and_not_read(blob: Path, tmp_path: Path) -> None:
    backbone = Backbone(blob, Runtime(optimised=tmp_path))
    assert str(tmp_path) in Path("/proc/self/maps").read_text()
    assert backbone.features(BATCH).shape[0] == 2


def test_a_damaged_copy_is_made_anew(blob: Path, tmp_path: Path) -> None:
    copy = optimised_copy(blob, tmp_path)
    assert copy is not None
    weights = copy.with_name(WEIGHTS)
    whole = weights.read_bytes()
    weights.write_bytes(b"?" * len(whole))
    assert optimised_copy(blob, tmp_path) == copy
    assert weights.read_bytes() == whole


def test_a_copy_that_is_deleted_before_it_is_opened_is_done_without(
    blob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone" / "graph.onnx"
    monkeypatch.setattr(sessions, "optimised_copy", lambda path, directory: gone)
    backbone = Backbone(blob, Runtime(optimised=tmp_path))
    assert backbone.features(BATCH).shape[0] == 2


def test_another_machine_has_a_copy_of_its_own(
    blob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = optimised_copy(blob, tmp_path)
    monkeypatch.setattr(optimised, "hardware", lambda: "other")
    assert optimised_copy(blob, tmp_path) != here
    assert len(list(tmp_path.iterdir())) == 2


def test_where_no_copy_can_be_made_the_graph_itself_runs(
    blob: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "not-a-folder"
    file.touch()
    with caplog.at_level(logging.WARNING):
        backbone = Backbone(blob, Runtime(optimised=file))
    assert backbone.features(BATCH).shape[0] == 2
    assert "no optimised copy" in caplog.text
