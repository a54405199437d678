"""The torch module behind tables: some layers, or none."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class TableLayers(nn.Module):
    """Values [B, W] in, what each of `depths` layers makes of them out; 0 is the values."""

    def __init__(self, weights: Sequence[tuple[Any, Any]], depths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_linear(*pair) for pair in weights[: max(depths)])
        self.depths = tuple(depths)

    def forward(self, values: Tensor) -> Any:
        states = [values * 1.0]
        for layer in self.layers:
            states.append(layer(states[-1]).relu())
        found = tuple(states[depth] for depth in self.depths)
        return found if len(found) > 1 else found[0]


def _linear(weight: Any, bias: Any) -> nn.Linear:
    """From scikit-learn's [in, out]."""
    layer = nn.Linear(*weight.shape)
    layer.weight.data.copy_(torch.from_numpy(weight.T))
    layer.bias.data.copy_(torch.from_numpy(bias))
    return layer
