"""The head of `knn`: rows that vote for their classes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

SMOOTHING = 0.5
"""Votes that each class has in advance, so that no probability is zero."""


class Voting(nn.Module):
    """Features [B, D] in, logits [B, C] out: logarithms of the shares of votes."""

    mean: Tensor
    scale: Tensor
    rows: Tensor
    votes: Tensor

    def __init__(self, moments: tuple[Any, Any], rows: Any, votes: Any, neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        given = (*moments, rows, votes)
        for name, array in zip(("mean", "scale", "rows", "votes"), given, strict=True):
            self.register_buffer(name, torch.from_numpy(array).to(torch.float32))
        self.rows = normalize((self.rows - self.mean) * self.scale, dim=-1)

    def forward(self, features: Tensor) -> Tensor:
        unit = normalize((features - self.mean) * self.scale, dim=-1)
        _, nearest = (unit @ self.rows.T).topk(self.neighbours, dim=-1)
        counts = self.votes[nearest].sum(1) + SMOOTHING
        return (counts / counts.sum(-1, keepdim=True)).log()
