"""Parameter transfer: a linear probe first, then fine-tuning from there."""

from typing import ClassVar

from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate


class ProbeFirstOptions(FineTuningOptions):
    """The head is good already, so it learns no faster than the backbone."""

    learning_rate: Rate = 2e-5
    head_rate: Rate = 1.0


class ProbeFirst(FineTuning):
    """A new head at random distorts good features before it has learnt; a fitted one does not."""

    name = "lp-ft"
    summary = "Fine-tune the whole source model from a linear probe on"
    paper = "Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features"
    after = "linear-probe"
    Options: ClassVar[type[ProbeFirstOptions]] = ProbeFirstOptions
