"""torch modules as graphs: the same everywhere, with variable axes, free of paths."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from regraft.contract import Feature, Inputs, TensorSpec
from regraft.export.frozen import frozen_backbone
from regraft.export.graph import export_backbone, export_head
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.serving.predictor import Backbone, GraphHead, open_head
from regraft.serving.sessions import Runtime

POOLED = Feature("out", "pooled", 4)
VALUES = Inputs((TensorSpec("values", "FP32", ("batch", "length")),))
EXPORT = """
import sys
from pathlib import Path
from regraft.export.frozen import frozen_backbone
from regraft.plugins import Plugins
from regraft.registry.home import Home
source = Plugins.load(["transformers"]).open_source(sys.argv[1])
print(frozen_backbone(source, source.features[0], Home(Path(sys.argv[2]))).blob.sha256)
"""


class Moments(nn.Module):
    """Four figures of a row, with dropout, which must be off in a graph."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = nn.functional.dropout(values, 0.5, self.training)
        return torch.stack([values.mean(1), values.std(1), values.amax(1), values.amin(1)], 1)


def test_graph_takes_any_batch_and_length(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(export_backbone(Moments().train(), VALUES, POOLED))
    backbone = Backbone(path, Runtime())
    for shape in ((1, 3), (2, 9), (5, 4)):
        values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        expected = Moments().eval()(torch.from_numpy(values)).numpy()
        np.testing.assert_allclose(backbone.features({"values": values}), expected, atol=1e-6)


def test_graph_tells_nothing_of_where_it_was_made() -> None:
    graph = export_backbone(Moments(), VALUES, POOLED)
    assert b"site-packages" not in graph
    assert b"test_graph" not in graph
    model = onnx.load_from_string(graph)
    assert [output.name for output in model.graph.output] == ["pooled_out"]
    assert not model.metadata_props


def test_head_of_several_layers_is_a_graph_of_its_own(tmp_path: Path) -> None:
    head = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2), nn.Softmax(-1)).eval()
    path = tmp_path / "head.onnx"
    path.write_bytes(export_head(head, POOLED))
    served = open_head(path)
    assert isinstance(served, GraphHead)
    features = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    expected = head(torch.from_numpy(features)).detach().numpy()
    np.testing.assert_allclose(served(features), expected, atol=1e-6)


def test_two_processes_export_the_same_bytes(
    tiny_bert: Path, exported: Home, plugins: Plugins, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", EXPORT, str(tiny_bert), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    source = plugins.open_source(str(tiny_bert))
    here = frozen_backbone(source, source.features[0], exported)
    assert found.stdout.strip() == here.blob.sha256


def test_backbone_that_was_exported_is_not_exported_again(
    tiny_bert: Path, fresh_home: Home, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plugins.open_source(str(tiny_bert))
    monkeypatch.setattr(type(source), "module", None)
    found = frozen_backbone(source, source.features[0], fresh_home)
    assert found.seconds is None
    assert found.blob.sha256 in fresh_home.blobs


def test_lost_export_is_made_again(tiny_bert: Path, fresh_home: Home, plugins: Plugins) -> None:
    source = plugins.open_source(str(tiny_bert))
    before = frozen_backbone(source, source.features[0], fresh_home)
    fresh_home.blobs.path(before.blob.sha256).unlink()
    again = frozen_backbone(source, source.features[0], fresh_home)
    assert again.blob == before.blob
    assert again.seconds is not None
