"""Low-rank changes and their merging, on small and on real backbones."""

import pytest
import torch
from torch import nn

from regraft import UnsupportedError
from regraft.model import TargetModel
from regraft.plugins import Plugins
from regraft.testing.toy import toy_model
from regraft.training.build import freeze_unreached
from regraft_transfer.lora import LoRA, LoRAOptions
from regraft_transfer.lora_layers import targets
from tests.plugins_transfer.models import real


def check(model: TargetModel, plain: TargetModel) -> None:
    """The change is nothing at first, and when merged what it was."""
    strategy = LoRA(LoRAOptions(rank=2), 0)
    adapted = strategy.prepare(model).eval()
    batch = adapted.example
    before = plain.eval()(**batch)[0]
    assert torch.allclose(adapted(**batch)[0], before, atol=1e-5)
    for name, parameter in adapted.backbone.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    changed = adapted(**batch)[0].detach()
    merged = strategy.finish(adapted)
    assert {name for name, _ in merged.named_parameters()} == {
        name for name, _ in plain.named_parameters()
    }
    assert torch.allclose(merged.eval()(**batch)[0], changed, atol=1e-4)
    assert not torch.allclose(changed, before, atol=1e-2)


def test_a_change_starts_as_nothing_and_is_merged() -> None:
    check(toy_model(0), toy_model(0))


@pytest.mark.parametrize(
    ("source", "task"),
    [
        ("minilm-l6", "text-classification"),
        ("efficientnet-lite0", "image-classification"),
        ("whisper-tiny-en", "audio-classification"),
    ],
)
def test_real_backbones_are_changed_and_merged(source: str, task: str, plugins: Plugins) -> None:
    check(real(source, task, plugins), real(source, task, plugins))


def test_dora_is_refused_for_convolutions_that_peft_does_not_know(plugins: Plugins) -> None:
    model = real("efficientnet-lite0", "image-classification", plugins)
    with pytest.raises(UnsupportedError, match="leave out dora"):
        LoRA(LoRAOptions(dora=True), 0).prepare(model)


def test_a_backbone_of_other_layers_is_told_so() -> None:
    model = TargetModel(nn.LSTM(2, 2), nn.Linear(2, 2))
    with pytest.raises(UnsupportedError, match="neither linear layers nor convolutions"):
        LoRA(LoRAOptions(), 0).prepare(model)


def test_layers_that_the_feature_does_not_depend_on_are_left_alone() -> None:
    model = toy_model(0)
    model.backbone.later = nn.Linear(16, 16)
    freeze_unreached(model.backbone, model.example)
    adapted = LoRA(LoRAOptions(rank=2), 0).prepare(model)
    adapted(**adapted.example)[0].square().sum().backward()
    learning = {name: p for name, p in adapted.backbone.named_parameters() if p.requires_grad}
    assert learning
    assert [name for name, p in learning.items() if p.grad is None] == []


def test_a_layer_whose_weights_are_taken_without_asking_it_is_left_alone() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    assert targets(layer) == ["linear1", "linear2"]


def test_validation_sees_the_change_of_torchs_own_encoder() -> None:
    """Which takes its weights past what changes them, where it learns nothing."""

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.layers = nn.TransformerEncoder(layer, 2)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.layers(values).mean(1)
            return found

    batch = {"values": torch.randn(2, 4, 8)}
    model = LoRA(LoRAOptions(), 0).prepare(TargetModel(Encoder(), nn.Linear(8, 2), batch)).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    learning = model(**batch)[0]
    with torch.no_grad():
        assert torch.allclose(model(**batch)[0], learning, atol=1e-6)


def test_what_has_nothing_to_change_says_so_before_it_is_taken() -> None:
    strategy = LoRA(LoRAOptions(), 0)
    assert strategy.check(toy_model(0)) is None
    model = TargetModel(nn.LSTM(2, 2), nn.Linear(2, 2))
    assert "neither linear layers nor convolutions" in str(strategy.check(model))
