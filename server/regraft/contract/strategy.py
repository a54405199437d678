"""The contract of a transfer strategy: how knowledge goes from the source model to the target."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from regraft.contract.inputs import Array
from regraft.contract.source import LinearHead
from regraft.errors import UnsupportedError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regraft.model import TargetModel

StrategyKind = Literal["feature", "parameter", "structure", "cross-domain"]
Folds = Sequence[tuple[Array, Array]]
"""Row positions to train on and to hold out, for cross-validation in the training part; rows of one
group are on one side, and every held-out class is trained on. Empty where rows are too few."""


Unlabelled = Literal["unused", "used", "needed"]

LEAST_BATCH = 4


@dataclass(frozen=True)
class Rows:
    """Rows of one forward pass: the model's inputs by name, features and logits, row by row."""

    batch: Mapping[str, "torch.Tensor"]
    features: "torch.Tensor"
    logits: "torch.Tensor"


@dataclass(frozen=True)
class Step(Rows):
    """One training step, as `loss` sees it: the labelled rows, their targets, the task's loss.

    `progress` is the share of training that is done; `unlabelled` went through the same pass.
    """

    model: "TargetModel"
    targets: "torch.Tensor"
    task_loss: "torch.Tensor"
    progress: float
    unlabelled: Rows | None = None


class NoOptions(BaseModel):
    """The options of a strategy that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate, as a multiple of the strategy's own. They rest until
    the share `start` of training is done."""

    parameters: "list[torch.nn.Parameter]"
    rate: float = 1.0
    start: float = 0.0


@dataclass(frozen=True)
class TrainingPlan:
    """What the training loop needs from a strategy's options; rates per step of AdamW.

    An epoch goes on over few rows again, so that all epochs have `least_steps` together. A batch
    has at most `batch_share` of the rows, but LEAST_BATCH.
    """

    epochs: int = 4
    batch_size: int = 32
    batch_share: float = 1.0
    least_steps: int = 0
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    patience: int = 2
    max_gradient_norm: float = field(default=1.0)

    def batch(self, rows: int) -> int:
        """How many of so many rows a batch has."""
        share = max(LEAST_BATCH, math.ceil(self.batch_share * rows))
        return max(1, min(self.batch_size, share, rows))


class TransferStrategy:
    """How knowledge goes from the source model to the target. One instance a job.

    A strategy that freezes the backbone implements `fit`; any other is trained by the host's loop
    and changes it through the remaining methods, each of which has a default. `prepare` is called
    again where training resumes, with the same weights.
    """

    name: ClassVar[str]
    kind: ClassVar[StrategyKind]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    freezes_backbone: ClassVar[bool] = False
    uses_own_head: ClassVar[bool] = False
    """Whether nothing is learnt: the source model answers with the head that it came with."""
    after: ClassVar[str | None] = None
    """The strategy whose result `prepare` gets as its model, such as linear-probe."""
    refits_head: ClassVar[bool] = False
    """Whether the head is `fit` to the features of the trained backbone in the end."""
    unlabelled: ClassVar[Unlabelled] = "unused"
    """Whether training sees rows of the target without labels."""
    fuses_features: ClassVar[bool] = False
    """Whether the backbone, frozen then, ends at all of the source's candidates, joined."""
    Options: ClassVar[type[BaseModel]] = NoOptions

    def __init__(self, options: Any, seed: int) -> None:
        self.options = options
        self.seed = seed

    @property
    def fits_head(self) -> bool:
        """Whether the head is a closed form, made by `fit`."""
        return self.freezes_backbone or self.refits_head

    def feature(self) -> str | None:
        """The name of the feature to use; None is the source model's default."""
        return None

    def fit(self, features: Array, targets: Array, folds: Folds) -> "LinearHead | nn.Module":
        """The head for frozen features [N, D] and class indices [N]: logits [N, C] are its output.
        `folds` are there to choose what there is to choose."""
        raise UnsupportedError(
            f"Strategy '{self.name}' has no closed form: it trains the backbone."
        )

    def cross_validate(self, features: Array, targets: Array, folds: Folds) -> float:
        """The mean out-of-fold log loss in nats; the candidate feature with the least is used.

        Without an answer of its own a strategy that trains the backbone takes the first candidate;
        one whose head is a module must answer.
        """
        if not self.freezes_backbone:
            return 0.0
        losses = [_held_out_loss(self, features, targets, fold) for fold in folds]
        return float(np.concatenate(losses).mean())

    def plan(self) -> TrainingPlan:
        """Epochs, batch size and rates of the training loop."""
        return TrainingPlan()

    def check(self, model: "TargetModel") -> str | None:
        """Why the source model, as far as this feature, cannot be changed so, or None. Asked before
        anything is trained; of several candidate features the best that can be is used."""
        return None

    def prepare(self, model: "TargetModel") -> "TargetModel":
        """The model to train: this one, changed, or another."""
        return model

    def parameter_groups(self, model: "TargetModel") -> list[ParameterGroup]:
        """Which parameters learn, and how fast."""
        return [ParameterGroup([p for p in model.parameters() if p.requires_grad])]

    def start_epoch(self, epoch: int, model: "TargetModel") -> None:
        """Called before each epoch, which counts from 0, once the model is in training mode."""

    def loss(self, step: Step) -> "torch.Tensor":
        """What is minimised: the task's loss, more, or another."""
        return step.task_loss

    def finish(self, model: "TargetModel") -> "TargetModel":
        """The model to export, from the trained one."""
        return model

    def ingredients(self) -> "tuple[TransferStrategy, ...]":
        """Installed strategies that are trained one after the other in place of this one, for `mix`
        to make one model of theirs; they begin with what this one begins with."""
        return ()

    def mix(
        self, models: "list[TargetModel]", score: "Callable[[TargetModel], float]"
    ) -> "TargetModel":
        """One model of those of the ingredients, in their order. `score` tells how good one is on
        the validation part, by the task's primary metric: more is better."""
        return models[0]


def _held_out_loss(
    strategy: TransferStrategy, features: Array, targets: Array, fold: tuple[Array, Array]
) -> Array:
    """The log loss of each held-out row under the head that is fitted on the others."""
    known, held_out = fold
    classes, renumbered = np.unique(targets[known], return_inverse=True)
    head = strategy.fit(features[known], renumbered, ())
    if not isinstance(head, LinearHead):
        raise UnsupportedError(
            f"'{strategy.name}' must say itself how it cross-validates its head."
        )
    logits = features[held_out] @ head.weight.T + head.bias
    top = logits.max(1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(1))
    right = np.searchsorted(classes, targets[held_out])
    loss: Array = total - logits[np.arange(len(held_out)), right]
    return loss
