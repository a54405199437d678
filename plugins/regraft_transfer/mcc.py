"""Cross-domain transfer: classes that are not mixed up on the target."""

from typing import TYPE_CHECKING

from regraft import Rows, Step
from regraft_transfer.cross_domain import CrossDomain, CrossDomainOptions
from regraft_transfer.fine_tuning import Rate

if TYPE_CHECKING:
    from torch import Tensor


class ConfusionOptions(CrossDomainOptions):
    """`temperature` softens the answers whose confusion is measured."""

    temperature: Rate = 2.5


class MinimumConfusion(CrossDomain):
    """Of the rows without labels: how much of the answers of two classes goes together, the rows
    that are surer counting more."""

    name = "mcc"
    summary = "Fine-tune while the answers to the target's rows become less mixed"
    paper = "Jin et al. 2020, Minimum Class Confusion for Versatile Domain Adaptation"
    Options = ConfusionOptions
    options: ConfusionOptions

    def gap(self, step: Step, target: Rows) -> "Tensor":
        shares = (target.logits / self.options.temperature).softmax(-1)
        entropy = -(shares * shares.clamp_min(1e-9).log()).sum(-1).detach()
        weights = 1 + (-entropy).exp()
        weights = weights * len(weights) / weights.sum()
        together = (shares * weights.unsqueeze(-1)).T @ shares
        together = together / together.sum(1, keepdim=True).clamp_min(1e-9)
        return (together.sum() - together.trace()) / len(together)
