"""Layers that are left out, on small and on real backbones."""

from typing import Any

import pytest
import torch

from regraft import UnsupportedError
from regraft.model import TargetModel, layers, levels
from regraft.plugins import Plugins
from regraft.testing.toy import toy_model
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


def test_levels_hold_every_parameter_once_from_the_inputs_up(plugins: Plugins) -> None:
    backbone = real("efficientnet-lite0", "image-classification", plugins).backbone
    found = levels(backbone)
    assert len(found) == 17
    assert found[0][0] is next(backbone.parameters())
    assert sum(map(len, found)) == len({p for p in backbone.parameters() if p.requires_grad})
