"""Graphs on a GPU, where there is one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.contract import Feature
from regraft.export.graph import export_backbone
from regraft.export.precision import fp16_graph
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime
from regraft.testing.toy import FEATURE, INPUTS, toy_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(scope="module")
def backbone() -> bytes:
    feature: Feature = FEATURE
    return export_backbone(toy_model(0).backbone, INPUTS, feature)


@pytest.mark.parametrize(("half", "error"), [(False, 1e-4), (True, 2e-2)])
def test_a_gpu_says_what_a_processor_says(
    backbone: bytes, tmp_path: Path, half: bool, error: float
) -> None:
    paths: list[Any] = [tmp_path / "plain.onnx", tmp_path / "other.onnx"]
    paths[0].write_bytes(backbone)
    paths[1].write_bytes(fp16_graph(backbone) if half else backbone)
    batch = INPUTS.example(5, 8)
    expected = Backbone(paths[0], Runtime()).features(batch)
    found = Backbone(paths[1], Runtime(gpu=True)).features(batch)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < error
