"""No transfer: the architecture alone, trained from where its weights are."""

from typing import TYPE_CHECKING

from regraft import UnsupportedError
from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate, Share

if TYPE_CHECKING:
    from regraft.model import TargetModel


class ScratchOptions(FineTuningOptions):
    """All is new, so that it learns fast, and at one rate; batch norms know no statistics yet."""

    learning_rate: Rate = 5e-4
    head_rate: Rate = 1.0
    batch_share: Share = 1.0
    keep_statistics: bool = False


class Scratch(FineTuning):
    """With a source model of random weights (`?init=random`) this is what any transfer is measured
    against."""

    name = "scratch"
    summary = "Train the architecture as if nothing were known; for `SOURCE?init=random`"
    paper = "He et al. 2019, Rethinking ImageNet Pre-Training"
    Options = ScratchOptions

    def prepare(self, model: "TargetModel") -> "TargetModel":
        if model.keeps_statistics:
            raise UnsupportedError(
                "the source model's batch norms keep the statistics that they have: from random "
                "weights it would learn without any"
            )
        return model
