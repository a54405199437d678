"""Structure transfer: without the top layers."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate, Steps
from regraft_transfer.skipping import removable, skip, too_few

if TYPE_CHECKING:
    from regraft.model import TargetModel


class LayerDropOptions(FineTuningOptions):
    """`share` of the layers that can be left out: two of five keep 98 % of BERT's quality."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    learning_rate: Rate = 1e-4
    head_rate: Rate = 10.0
    least_steps: Steps = 100


class LayerDrop(FineTuning):
    """The top layers, which are made for the source's own task, are left out; the rest is tuned."""

    name = "layer-drop"
    kind = "structure"
    summary = "Leave the top layers of the source model out and fine-tune the rest"
    paper = "Sajjad et al. 2023, On the Effect of Dropping Layers of Pre-trained Transformers"
    Options = LayerDropOptions
    options: LayerDropOptions

    def check(self, model: "TargetModel") -> str | None:
        return too_few(model, 1)

    def prepare(self, model: "TargetModel") -> "TargetModel":
        found = removable(model)
        skip(found[-max(1, round(self.options.share * len(found))) :])
        return model
