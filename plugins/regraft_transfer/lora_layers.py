"""Which layers get a low-rank change, and how convolutions do whose class is not torch's own."""

import copy
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora.layer import Conv2d
from torch import nn

from regraft import UnsupportedError


class OwnConvolution(Conv2d):  # type: ignore[misc]
    """peft builds the first half of a change by the constructor of the layer's class, which a class
    that pads by itself, say, has otherwise. Here it is a copy of the layer with fewer channels."""

    def update_layer(
        self, adapter_name: str, r: int, lora_alpha: int, config: LoraConfig, **more: Any
    ) -> None:
        if config.use_dora:
            raise UnsupportedError(
                "DoRA does not know the source model's convolutions: leave out dora."
            )
        base: Any = self.get_base_layer()
        own, base.__class__ = base.__class__, nn.Conv2d
        try:
            super().update_layer(adapter_name, r, lora_alpha, config, **more)
        finally:
            base.__class__ = own
        first = copy.deepcopy(base)
        first.weight, first.bias = self.lora_A[adapter_name].weight, None
        self.lora_A[adapter_name] = first


def register(config: LoraConfig, backbone: nn.Module) -> None:
    """Have peft take these for such convolutions; and torch's own encoder ask the layers that are
    changed also where it learns nothing: it would take their weights past what changes them."""
    torch.backends.mha.set_fastpath_enabled(False)
    classes = {type(m) for m in backbone.modules() if isinstance(m, nn.Conv2d)} - {nn.Conv2d}
    config._register_custom_module(dict.fromkeys(classes, OwnConvolution))


def targets(backbone: nn.Module) -> list[str]:
    """The names of linear layers, but for those whose weights torch's own attention takes without
    asking them; where there are none, of convolutions of one group. None of those that the feature
    does not depend on, which are frozen. UnsupportedError where there are none either."""
    named = [*backbone.named_modules()]
    inner = {id(m.out_proj) for _, m in named if isinstance(m, nn.MultiheadAttention)}
    linear = [n for n, m in named if isinstance(m, nn.Linear) and _learns(m) and id(m) not in inner]
    kinds = nn.Conv2d | nn.Conv1d
    whole = [n for n, m in named if isinstance(m, kinds) and _learns(m) and m.groups == 1]
    if not linear and not whole:
        raise UnsupportedError(
            "The source model has neither linear layers nor convolutions below this feature: take "
            "full, or another feature."
        )
    return linear or whole


def refusal(backbone: nn.Module) -> str | None:
    """Why there are no such names, or None."""
    try:
        targets(backbone)
    except UnsupportedError as error:
        return str(error)
    return None


def _learns(layer: nn.Linear | nn.Conv2d | nn.Conv1d) -> bool:
    return layer.weight.requires_grad
