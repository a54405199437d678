"""A trial: what a strategy makes of the training rows, asked in this process and never exported."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regraft.adaptations.candidate import say
from regraft.adaptations.learning import learn_frozen
from regraft.adaptations.training import Runner, Trained, here, train
from regraft.adaptations.work import Work, fitted
from regraft.arrays import joined_rows
from regraft.contract import Array, Feature, LinearHead
from regraft.domain import Examples

if TYPE_CHECKING:
    from torch import nn

BATCH = 32


@dataclass(frozen=True)
class Trial:
    """Outputs of each part that was asked for, and what they took: seconds of learning, parameters
    that learnt, and parameters in all."""

    outputs: dict[str, Array]
    seconds: float
    learnt: int
    parameters: int


def try_out(work: Work, feature: Feature, parts: dict[str, Examples], run: Runner = here) -> Trial:
    """By the request's strategy, which ends the backbone at this feature."""
    if work.request.strategy.freezes_backbone:
        return _frozen(work, feature, parts)
    start = time.perf_counter()
    trained = train(work, work.request.strategy, feature, run)
    head = head_of(work, trained)
    seconds = time.perf_counter() - start
    outputs = {name: answers(work, trained, head, part) for name, part in parts.items()}
    total = sum(p.numel() for p in trained.model.parameters())
    return Trial(outputs, seconds, trained.parameters, total)


def _frozen(work: Work, feature: Feature, parts: dict[str, Examples]) -> Trial:
    start = time.perf_counter()
    learnt = learn_frozen(work, feature)
    seconds = time.perf_counter() - start
    outputs = {name: say(learnt.head, learnt.features(work, part)) for name, part in parts.items()}
    return Trial(outputs, seconds, learnt.parameters, learnt.backbone.size // 4)


def head_of(work: Work, trained: Trained) -> "LinearHead | nn.Module":
    """The head as it would be served."""
    strategy = work.request.strategy
    if not strategy.refits_head:
        return work.task.serving_head(trained.model.head)
    from torch import nn

    features = answers(work, trained, nn.Identity(), work.data.train)
    head = fitted(work, strategy, features)
    return head if isinstance(head, LinearHead) else work.task.serving_head(head)


def answers(work: Work, trained: Trained, head: "LinearHead | nn.Module", part: Examples) -> Array:
    """What a trained model says of these rows, by torch; rows of like size go through together."""
    import torch

    backbone, task, rows = trained.model.backbone.eval(), work.task, part.inputs
    order = np.argsort([task.size(row) for row in rows], kind="stable")
    found = []
    for start in range(0, len(order), BATCH):
        batch = task.encode([rows[int(i)] for i in order[start : start + BATCH]])
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        with torch.no_grad():
            found.append(say(head, backbone(**tensors).numpy()))
    joined = joined_rows(found)
    result = np.empty_like(joined)
    result[order] = joined
    return result
