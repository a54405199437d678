"""The head of speech recognition."""

import torch
from torch import Tensor, nn

NEVER = -30.0


class CharacterHead(nn.Module):
    """Steps [B, T, D] in, logits [B, T, 1 + C] out: normalised, then one affine map. A step of
    zeros is padding, and blank."""

    blank: Tensor

    def __init__(self, size: int, characters: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.linear = nn.Linear(size, 1 + characters)
        blank = torch.full((1 + characters,), NEVER)
        blank[0] = 0
        self.register_buffer("blank", blank)

    def forward(self, steps: Tensor) -> Tensor:
        empty = steps.abs().sum(-1, keepdim=True) == 0
        return torch.where(empty, self.blank, self.linear(self.norm(steps)))
