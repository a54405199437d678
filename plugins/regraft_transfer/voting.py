"""The head of `knn`: rows that vote for their classes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

SMOOTHING = 0.5
"""Votes that each class has in advance, so that no probability is zero."""
LEAST = 1e-2
"""Neighbours whose similarities differ by less than this have less than a whole vote."""


class Voting(nn.Module):
    """Features [B, D] in, logits [B, C] out: logarithms of the shares of votes.

    A vote weighs as much as the row is nearer than the first that has none (Dudani 1976, The
    Distance-Weighted k-Nearest-Neighbor Rule), so that rounding never changes an answer much.
    """

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
        known = min(self.neighbours + 1, len(self.rows))
        similar, nearest = (unit @ self.rows.T).topk(known, dim=-1)
        last = similar[:, -1:] if known > self.neighbours else torch.full_like(similar[:, :1], -1)
        weights = (similar - last) / (similar[:, :1] - last + LEAST)
        counts = (self.votes[nearest] * weights.unsqueeze(-1)).sum(1) + SMOOTHING
        return (counts / counts.sum(-1, keepdim=True)).log()
