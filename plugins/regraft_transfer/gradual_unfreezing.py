"""Parameter transfer: the head first, then one layer more at a time, from the top down."""

from dataclasses import replace
from typing import TYPE_CHECKING

from regraft import ParameterGroup
from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate, Share

if TYPE_CHECKING:
    from regraft.model import TargetModel


class GradualUnfreezingOptions(FineTuningOptions):
    """Each layer learns 2.6 times as fast as the one below; all do after the share `thawed`."""

    layer_decay: Share = 1 / 2.6
    learning_rate: Rate = 2e-4
    head_rate: Rate = 5.0
    thawed: Share = 0.5


class GradualUnfreezing(FineTuning):
    """What the source model knows is not forgotten while the head knows nothing yet."""

    name = "gradual-unfreezing"
    summary = "Fine-tune the head, then layer after layer from the top down"
    paper = "Howard & Ruder 2018, Universal Language Model Fine-tuning"
    Options = GradualUnfreezingOptions
    options: GradualUnfreezingOptions

    def parameter_groups(self, model: "TargetModel") -> list[ParameterGroup]:
        *lower, head = super().parameter_groups(model)
        share = self.options.thawed / max(1, len(lower))
        return [
            *(replace(group, start=share * (len(lower) - n)) for n, group in enumerate(lower)),
            head,
        ]
