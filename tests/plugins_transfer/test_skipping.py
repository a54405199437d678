"""Layers that are left out, on small and on real backbones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft import Feature, UnsupportedError
from regraft.export.graph import export_backbone
from regraft.model import TargetModel, layers, levels
from regraft.plugins import Plugins
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime
from regraft.testing.toy import toy_model
from regraft_torch.speaker import SpeakerEncoder
from regraft_torch.speaker_layers import speaker_layers
from regraft_transfer.layer_drop import LayerDrop, LayerDropOptions
from regraft_transfer.skipping import removable, skip
from regraft_transfer.student_init import StudentInit, StudentOptions
from tests.plugins_transfer.models import real


def sizes(model: TargetModel) -> list[int]:
    return [sum(p.numel() for p in layer.parameters()) for layer in layers(model.backbone)]


def test_top_layers_are_dropped_and_the_rest_is_as_it_was() -> None:
    model, whole = toy_model(0), toy_model(0)
    dropped = LayerDrop(LayerDropOptions(share=0.5), 0).prepare(model)
    assert [size > 0 for size in sizes(dropped)] == [True, True, False, False]
    lower = whole.backbone.layer[:2]
    whole.backbone.layer = lower
    example = model.example
    assert torch.equal(dropped.eval()(**example)[0], whole.eval()(**example)[0])


def test_a_student_has_every_second_layer() -> None:
    student = StudentInit(StudentOptions(), 0).prepare(toy_model(0))
    assert [size > 0 for size in sizes(student)] == [True, False, True, False]


def test_a_backbone_without_layers_is_told_so() -> None:
    model = TargetModel(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    assert layers(model.backbone) == []
    with pytest.raises(UnsupportedError, match="no layers that could be left out"):
        skip([])


@pytest.mark.parametrize(
    ("source", "task", "found", "left_out"),
    [
        ("minilm-l6", "text-classification", 6, 6),
        ("efficientnet-lite0", "image-classification", 16, 9),
    ],
)
def test_layers_of_real_backbones_that_keep_the_shape_are_removable(
    source: str, task: str, found: int, left_out: int, plugins: Plugins
) -> None:
    model: Any = real(source, task, plugins)
    assert len(layers(model.backbone)) == found
    chosen = removable(model)
    assert len(chosen) == left_out
    skip(chosen[-2:])
    features, logits = model.eval()(**model.example)
    assert features.isfinite().all()
    assert logits.shape == (2, 2)


def speaker(feature: str, rows: int = 3) -> TargetModel:
    """Layers that give a tuple, and of which one has another shape."""
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (rows, 8000))).float()
    example = {"samples": samples, "lengths": torch.full((rows,), 8000)}
    return TargetModel(speaker_layers(None, (feature,)), torch.nn.Linear(256, 2), example)


@pytest.mark.parametrize("feature", ["layer-3-mean", "embedding"])
def test_layers_that_give_a_tuple_are_left_out_too(feature: str) -> None:
    model = LayerDrop(LayerDropOptions(share=0.5), 0).prepare(speaker(feature)).eval()
    assert [size > 0 for size in sizes(model)] == [True, True, False]
    with torch.no_grad():
        features, _ = model(**model.example)
        alone, _ = model(**{name: tensor[1:2] for name, tensor in model.example.items()})
    assert torch.allclose(features[1:2], alone, atol=1e-5)
    assert not torch.allclose(features[0], features[1], atol=1e-5)


def test_what_is_left_of_layers_that_give_a_tuple_is_exported(tmp_path: Path) -> None:
    model = LayerDrop(LayerDropOptions(share=0.5), 0).prepare(speaker("layer-3-mean")).eval()
    path = tmp_path / "backbone.onnx"
    feature = Feature("layer-3-mean", "pooled", 256)
    path.write_bytes(export_backbone(model.backbone, SpeakerEncoder.inputs, feature))
    batch = {name: tensor.numpy() for name, tensor in model.example.items()}
    with torch.no_grad():
        expected, _ = model(**model.example)
    np.testing.assert_allclose(Backbone(path, Runtime()).features(batch), expected, atol=1e-4)


def test_levels_hold_every_parameter_once_from_the_inputs_up(plugins: Plugins) -> None:
    backbone = real("efficientnet-lite0", "image-classification", plugins).backbone
    found = levels(backbone)
    assert len(found) == 17
    assert found[0][0] is next(backbone.parameters())
    assert sum(map(len, found)) == len({p for p in backbone.parameters() if p.requires_grad})


class Stage(torch.nn.Module):
    """Halves what it is given, or gives more than a layer of states does."""

    def __init__(self, halves: bool, more: int) -> None:
        super().__init__()
        self.inner, self.halves, self.more = torch.nn.Linear(1, 1), halves, more

    def forward(self, states: torch.Tensor) -> Any:
        found = self.inner(states.unsqueeze(-1)).squeeze(-1)
        found = found[:, ::2] if self.halves else found
        return (found, *[None] * self.more) if self.more else found


@pytest.mark.parametrize(
    ("halves", "more", "found"),
    [
        ([False, True, True, True], 0, 0),
        ([True, True, False, False], 0, 2),
        ([False] * 4, 1, 4),
        ([False] * 4, 2, 0),
    ],
)
def test_stages_are_no_layers(halves: list[bool], more: int, found: int) -> None:
    """The lowest may keep its shape, and say nothing of the source's own task."""

    class Stages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = torch.nn.ModuleList(Stage(one, more) for one in halves)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            for stage in self.stages:
                values = stage(values)[0] if more else stage(values)
            return values

    model = TargetModel(Stages(), torch.nn.Linear(2, 2), {"values": torch.randn(2, 16)})
    assert len(removable(model)) == found
    reason = LayerDrop(LayerDropOptions(), 0).check(model)
    assert (reason is None) == (found > 0)
