"""What every strategy shares that learns from rows of the target without labels."""

from typing import TYPE_CHECKING, ClassVar

from regraft import Rows, Step
from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate, Share, Steps, Strength

if TYPE_CHECKING:
    from torch import Tensor


class CrossDomainOptions(FineTuningOptions):
    """`weight` is that of what is said of the rows without labels, once training is under way."""

    weight: Strength = 1.0
    batch_share: Share = 1.0
    learning_rate: Rate = 2e-5
    head_rate: Rate = 10.0
    least_steps: Steps = 100


class CrossDomain(FineTuning):
    """The labelled rows teach the task, those without labels what the target looks like. It begins
    with a linear probe, which is what would be had without them."""

    kind = "cross-domain"
    after = "linear-probe"
    unlabelled: ClassVar = "needed"
    Options = CrossDomainOptions
    options: CrossDomainOptions

    def loss(self, step: Step) -> "Tensor":
        if step.unlabelled is None:
            return step.task_loss
        return step.task_loss + self.options.weight * self.gap(step, step.unlabelled)

    def gap(self, step: Step, target: Rows) -> "Tensor":
        """What is to become small, of the labelled rows and those of the target."""
        raise NotImplementedError


def ramp(progress: float) -> float:
    """From 0 to 1 as training goes on (Ganin & Lempitsky 2015, section 5.2.2)."""
    import math

    return 2 / (1 + math.exp(-10 * progress)) - 1
