"""Feature transfer: rows of one class are drawn together, then a linear probe."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from regraft import Folds, LinearHead, Step
from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate, Share
from regraft_transfer.linear_probe import LinearProbe, LinearProbeOptions

if TYPE_CHECKING:
    from torch import Tensor

    from regraft.model import TargetModel


class ContrastiveOptions(FineTuningOptions):
    """Pairs are those within a batch, so that their number is bounded by `least_steps` or by one
    pass over the rows, whichever is more."""

    epochs: Annotated[int, Field(ge=1, le=100)] = 1
    batch_share: Share = 1.0
    learning_rate: Rate = 2e-5


class Contrastive(FineTuning):
    """The cosine of each pair of rows is drawn to 1 within a class and to 0 across classes, both
    kinds of pairs weighing alike. SetFit's idea on the pairs of a batch."""

    name = "contrastive"
    kind = "feature"
    summary = "Draw rows of one class together, then logistic regression on the features"
    paper = "Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts"
    refits_head = True
    Options = ContrastiveOptions
    options: ContrastiveOptions

    def check(self, model: "TargetModel") -> str | None:
        if any(parameter.requires_grad for parameter in model.backbone.parameters()):
            return None
        return "the feature has no weights that could learn"

    def fit(self, features: Any, targets: Any, folds: Folds) -> LinearHead:
        return LinearProbe(LinearProbeOptions(), self.seed).fit(features, targets, folds)

    def loss(self, step: Step) -> "Tensor":
        import torch
        from torch.nn.functional import normalize

        unit = normalize(step.features, dim=-1)
        same = step.targets.unsqueeze(0) == step.targets.unsqueeze(1)
        pairs = torch.ones_like(same).triu(1)
        error = (unit @ unit.T - same.to(unit.dtype)).square()
        kinds = [error[pairs & kind] for kind in (same, ~same)]
        return torch.stack([kind.mean() for kind in kinds if len(kind)] or [error.sum()]).mean()
