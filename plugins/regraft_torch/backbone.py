"""The torch modules behind the image models."""

from pathlib import Path
from typing import Any

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from regraft_torch.weights import read_state


class Maps(nn.Module):
    """The last map of an EfficientNet, before its pooling and its classifier, or that of the first
    `blocks` blocks, which is finer."""

    def __init__(self, network: Any, blocks: int | None) -> None:
        super().__init__()
        self.network = network
        self.network._fc = None
        self.whole = blocks is None
        if blocks is not None:
            network._conv_head = network._bn1 = None
            network._blocks = network._blocks[:blocks]

    def forward(self, pixels: Tensor) -> Tensor:
        if self.whole:
            found: Tensor = self.network.extract_features(pixels)
            return found
        found = self.network._swish(self.network._bn0(self.network._conv_stem(pixels)))
        for block in self.network._blocks:
            found = block(found)
        return found


def efficientnet(architecture: str, weights: Path | None, blocks: int | None) -> nn.Module:
    """The network with these weights; without, always the same random ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = EfficientNet.from_name(architecture)
    if weights is not None:
        made.load_state_dict(read_state(weights))
    return Maps(made, blocks)


class Backbone(nn.Module):
    """Pixels [B, H, W, 3] of 0 to 255 in; what the network gives out, a map [B, C, H', W'] as its
    mean [B, C] if `pooled`."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, scale: tuple[Any, Any], pooled: bool) -> None:
        super().__init__()
        self.network = network
        self.pooled = pooled
        for name, values in zip(("mean", "deviation"), scale, strict=True):
            tensor = torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        channels = pixels.permute(0, 3, 1, 2).to(self.mean.dtype)
        found: Tensor = self.network((channels - self.mean) / self.deviation)
        return found.mean((2, 3)) if self.pooled and found.ndim == 4 else found
