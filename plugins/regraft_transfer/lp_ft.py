"""Parameter transfer: a linear probe first, then fine-tuning from there."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from regraft import Folds, LinearHead
from regraft_transfer.full import Full, FullOptions
from regraft_transfer.linear_probe import LinearProbe, LinearProbeOptions


class ProbeFirstOptions(FullOptions):
    """As those of `full`; the head is good already, so it learns no faster than the backbone."""

    learning_rate: Annotated[float, Field(gt=0)] = 2e-5
    head_rate: Annotated[float, Field(gt=0)] = 1.0


class ProbeFirst(Full):
    """A new head at random distorts good features before it has learnt; a fitted one does not."""

    name = "lp-ft"
    summary = "Fine-tune the whole source model from a linear probe on"
    paper = "Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features"
    warm_start: ClassVar[bool] = True
    Options = ProbeFirstOptions
    options: ProbeFirstOptions

    def fit(self, features: Any, targets: Any, folds: Folds) -> LinearHead:
        """The head to start from."""
        return LinearProbe(LinearProbeOptions(), self.seed).fit(features, targets, folds)
