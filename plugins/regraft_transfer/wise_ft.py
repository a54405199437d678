"""Parameter transfer: the mean of the weights before and after fine-tuning."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from regraft_transfer.fine_tuning import Rate
from regraft_transfer.lp_ft import ProbeFirst, ProbeFirstOptions

if TYPE_CHECKING:
    from regraft.model import TargetModel


class WeightEnsembleOptions(ProbeFirstOptions):
    """`alpha` is the share of the tuned weights. A greater rate than lp-ft's: half is undone."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    learning_rate: Rate = 5e-5


class WeightEnsemble(ProbeFirst):
    """Robust like the source model with its probe, good on the target like the tuned one."""

    name = "wise-ft"
    summary = "Average a linear probe's weights with those fine-tuned from there"
    paper = "Wortsman et al. 2022, Robust Fine-Tuning of Zero-Shot Models"
    Options = WeightEnsembleOptions
    options: WeightEnsembleOptions

    def prepare(self, model: "TargetModel") -> "TargetModel":
        self.start = {n: p.detach().clone() for n, p in model.named_parameters()}
        return model

    def finish(self, model: "TargetModel") -> "TargetModel":
        for name, parameter in model.named_parameters():
            parameter.data.lerp_(self.start[name], 1 - self.options.alpha)
        return model
