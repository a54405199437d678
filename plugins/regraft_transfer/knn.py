"""Feature transfer: the classes of the most similar training rows."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from regraft import Folds, TransferStrategy
from regraft_transfer.moments import moments
from regraft_transfer.prototype import PrototypeOptions

if TYPE_CHECKING:
    from torch import nn


class NeighbourOptions(PrototypeOptions):
    """`neighbours` vote, each with its class."""

    neighbours: Annotated[int, Field(ge=1, le=100)] = 5


class Neighbours(TransferStrategy):
    """The rows of the greatest cosine of standardised features vote. They are part of the head,
    which grows with them."""

    name = "knn"
    kind = "feature"
    summary = "The vote of the training rows whose frozen features are nearest"
    paper = "Khandelwal et al. 2020, Generalization through Memorization"
    freezes_backbone = True
    Options = NeighbourOptions
    options: NeighbourOptions

    def feature(self) -> str | None:
        return self.options.feature

    def fit(self, features: Any, targets: Any, folds: Folds) -> "nn.Module":
        from regraft_transfer.voting import Voting

        votes = np.eye(targets.max() + 1)[targets]
        count = min(self.options.neighbours, len(targets))
        return Voting(moments(features), features, votes, count)

    def cross_validate(self, features: Any, targets: Any, folds: Folds) -> float:
        import torch
        from torch.nn.functional import cross_entropy

        losses = []
        for known, held_out in folds:
            classes, numbers = np.unique(targets[known], return_inverse=True)
            logits = self.fit(features[known], numbers, ())(torch.from_numpy(features[held_out]))
            right = torch.from_numpy(np.searchsorted(classes, targets[held_out]))
            losses.append(cross_entropy(logits, right, reduction="none"))
        return float(torch.cat(losses).mean())
