"""Structure transfer: every second layer of the source model as a smaller one."""

from typing import TYPE_CHECKING

from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate, Steps
from regraft_transfer.skipping import removable, skip, too_few

if TYPE_CHECKING:
    from regraft.model import TargetModel


class StudentOptions(FineTuningOptions):
    """What is left of the source model has more to learn."""

    learning_rate: Rate = 1e-4
    head_rate: Rate = 10.0
    least_steps: Steps = 150


class StudentInit(FineTuning):
    """Half of the layers, each beside one that is left out, take over; then all are tuned."""

    name = "student-init"
    kind = "structure"
    summary = "Keep every second layer of the source model and fine-tune those"
    paper = "Sanh et al. 2019, DistilBERT"
    Options = StudentOptions

    def check(self, model: "TargetModel") -> str | None:
        return too_few(model, 2)

    def prepare(self, model: "TargetModel") -> "TargetModel":
        skip(removable(model)[1::2])
        return model
