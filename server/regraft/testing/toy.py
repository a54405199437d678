"""A small text encoder, a task and data, for checks that train. Imported where torch is needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regraft.classification import Classification
from regraft.contract import Columns, Feature, Inputs, TensorSpec
from regraft.model import TargetModel
from regraft.training.loop import Part

SIZE = 16
WORDS = 8
LAYERS = 4
LABELS = ("a", "b", "c")
FEATURE = Feature("last", "pooled", SIZE)
INPUTS = Inputs(
    tuple(
        TensorSpec(name, "INT64", ("batch", "length")) for name in ("input_ids", "attention_mask")
    )
)


class Attention(nn.Module):
    """Self-attention with one head."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(SIZE, SIZE)
        self.key = nn.Linear(SIZE, SIZE)
        self.value = nn.Linear(SIZE, SIZE)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        weights = self.query(hidden) @ self.key(hidden).transpose(1, 2) / SIZE**0.5
        weights = weights.masked_fill(mask.unsqueeze(1) == 0, -1e4)
        attended: Tensor = weights.softmax(-1) @ self.value(hidden)
        return attended


class Layer(nn.Module):
    """A layer of a transformer encoder, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.dense = nn.Linear(SIZE, SIZE)
        self.norm = nn.LayerNorm(SIZE)
        self.dropout = nn.Dropout(0.1)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        hidden = hidden + self.attention(hidden, mask)
        changed: Tensor = self.norm(hidden + self.dropout(self.dense(hidden).relu()))
        return changed


class ToyEncoder(nn.Module):
    """Ids and mask [B, T] in, the masked mean of the last layer [B, D] out."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(1 + WORDS * len(LABELS), SIZE)
        self.layer = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.embeddings(input_ids)
        for layer in self.layer:
            hidden = layer(hidden, attention_mask)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled: Tensor = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return pooled


class ToyTask(Classification):
    """Rows are tuples of word numbers; every class prefers words of its own."""

    name = "toy"
    modality = "text"
    summary = "Rows of numbers"
    inputs_type = Inputs
    columns = Columns(input=("words",))

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        shape = (len(rows), max(map(len, rows)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for position, row in enumerate(rows):
            ids[position, : len(row)] = row
            mask[position, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def simple_baseline(self, seed: int) -> Any:
        raise NotImplementedError

    def request_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("words", "INT64", ("batch", "length")),)

    def rows(self, tensors: Any) -> list[Any]:
        return [tuple(row) for row in tensors["words"].tolist()]


def toy_task() -> ToyTask:
    return ToyTask(INPUTS, LABELS)


def toy_model(seed: int) -> TargetModel:
    """An untrained encoder and head, the same for the same seed."""
    torch.manual_seed(seed)
    example = {name: torch.from_numpy(array) for name, array in INPUTS.example(2, 8).items()}
    return TargetModel(ToyEncoder(), toy_task().head(FEATURE), example)


def toy_part(rows: int, seed: int, unlabelled: int = 0) -> Part:
    """Rows of 3 to 9 words, four of five of them from the words of their class; as many more
    without labels as are asked for."""
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % len(LABELS)
    known = [_row(int(target), rng) for target in targets]
    return Part(known, targets, [_row(n % len(LABELS), rng) for n in range(unlabelled)])


def _row(target: int, rng: np.random.Generator) -> tuple[int, ...]:
    length = int(rng.integers(3, 10))
    own = 1 + target * WORDS + rng.integers(0, WORDS, length)
    anything = rng.integers(1, 1 + WORDS * len(LABELS), length)
    return tuple(int(word) for word in np.where(rng.random(length) < 0.8, own, anything))
