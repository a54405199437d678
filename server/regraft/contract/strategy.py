"""The contract of a transfer strategy: how knowledge goes from the source model to the target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from regraft.contract.inputs import Array
from regraft.contract.source import LinearHead
from regraft.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

    from regraft.model import TargetModel

StrategyKind = Literal["feature", "parameter", "structure", "cross-domain"]
Folds = Sequence[tuple[Array, Array]]
"""Row positions to train on and to hold out, for cross-validation in the training part; rows of one
group are on one side, and every held-out class is trained on. Empty where rows are too few."""


@dataclass(frozen=True)
class Step:
    """One training step, as `extra_loss` sees it."""

    model: "TargetModel"
    batch: Mapping[str, "torch.Tensor"]
    features: "torch.Tensor"
    logits: "torch.Tensor"
    unlabelled: Mapping[str, "torch.Tensor"] | None = None


class NoOptions(BaseModel):
    """The options of a strategy that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate, as a multiple of the strategy's own."""

    parameters: "list[torch.nn.Parameter]"
    rate: float = 1.0


@dataclass(frozen=True)
class TrainingPlan:
    """What the training loop needs from a strategy's options; rates per step of AdamW."""

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    patience: int = 2
    max_gradient_norm: float = field(default=1.0)


class TransferStrategy:
    """How knowledge goes from the source model to the target. One instance a job.

    A strategy that freezes the backbone implements `fit`; any other is trained by the host's loop
    and changes it through the remaining methods, each of which has a default.
    """

    name: ClassVar[str]
    kind: ClassVar[StrategyKind]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    freezes_backbone: ClassVar[bool] = False
    uses_own_head: ClassVar[bool] = False
    """Whether nothing is learnt: the source model answers with the head that it came with."""
    warm_start: ClassVar[bool] = False
    """Whether training starts from the head that `fit` gives for the frozen features."""
    Options: ClassVar[type[BaseModel]] = NoOptions

    def __init__(self, options: Any, seed: int) -> None:
        self.options = options
        self.seed = seed

    def feature(self) -> str | None:
        """The name of the feature to use; None is the source model's default."""
        return None

    def fit(self, features: Array, targets: Array, folds: Folds) -> LinearHead:
        """The head for frozen features [N, D] and class indices [N]; `folds` are there to choose
        what there is to choose."""
        raise UnsupportedError(
            f"Strategy '{self.name}' has no closed form: it trains the backbone."
        )

    def cross_validate(self, features: Array, targets: Array, folds: Folds) -> float:
        """The mean out-of-fold log loss in nats; the candidate feature with the least is used.

        Without an answer of its own a strategy that trains the backbone takes the first candidate.
        """
        if not self.freezes_backbone:
            return 0.0
        losses = [_held_out_loss(self, features, targets, fold) for fold in folds]
        return float(np.concatenate(losses).mean())

    def plan(self) -> TrainingPlan:
        """Epochs, batch size and rates of the training loop."""
        return TrainingPlan()

    def prepare(self, model: "TargetModel") -> "TargetModel":
        """The model to train: this one, changed, or another."""
        return model

    def parameter_groups(self, model: "TargetModel") -> list[ParameterGroup]:
        """Which parameters learn, and how fast."""
        return [ParameterGroup([p for p in model.parameters() if p.requires_grad])]

    def start_epoch(self, epoch: int, model: "TargetModel") -> None:
        """Called before each epoch, which counts from 0, once the model is in training mode."""

    def extra_loss(self, step: Step) -> "torch.Tensor | None":
        """A term to add to the task's loss."""
        return None

    def finish(self, model: "TargetModel") -> "TargetModel":
        """The model to export, from the trained one."""
        return model


def _held_out_loss(
    strategy: TransferStrategy, features: Array, targets: Array, fold: tuple[Array, Array]
) -> Array:
    """The log loss of each held-out row under the head that is fitted on the others."""
    known, held_out = fold
    classes, renumbered = np.unique(targets[known], return_inverse=True)
    head = strategy.fit(features[known], renumbered, ())
    logits = features[held_out] @ head.weight.T + head.bias
    top = logits.max(1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(1))
    right = np.searchsorted(classes, targets[held_out])
    loss: Array = total - logits[np.arange(len(held_out)), right]
    return loss
