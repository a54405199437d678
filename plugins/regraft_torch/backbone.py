"""The torch modules behind the catalogue's image models."""

from pathlib import Path
from typing import Any

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn


def network(architecture: str, weights: Path | None) -> Any:
    """The network with these weights; without, always the same random ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = EfficientNet.from_name(architecture)
    if weights is not None:
        # A checked file, and `weights_only` runs no code.
        state = torch.load(weights, map_location="cpu", weights_only=True)  # noqa: TID251
        made.load_state_dict(state)
    return made


class Backbone(nn.Module):
    """Pixels [B, H, W, 3] of 0 to 255 in; the last map [B, C, H', W'] out, or its mean [B, C]."""

    def __init__(self, network: Any, scale: tuple[float, float], pooled: bool) -> None:
        super().__init__()
        self.network = network
        self.network._fc = None
        self.mean, self.deviation = scale
        self.pooled = pooled

    def forward(self, pixels: Tensor) -> Tensor:
        channels = pixels.permute(0, 3, 1, 2).to(self.network._conv_head.weight.dtype)
        found: Tensor = self.network.extract_features((channels - self.mean) / self.deviation)
        return found.mean((2, 3)) if self.pooled else found
