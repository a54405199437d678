"""Parameter transfer: fine-tune the last layers alone."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate

if TYPE_CHECKING:
    from regraft.model import TargetModel


class LastLayersOptions(FineTuningOptions):
    """`layers` from the top learn; what is above them counts to the last."""

    layers: Annotated[int, Field(ge=1)] = 2
    learning_rate: Rate = 1e-4
    head_rate: Rate = 10.0


class LastLayers(FineTuning):
    """The lower layers, which are the more general, stay as they are."""

    name = "last-k"
    summary = "Fine-tune the last layers and a new head"
    paper = "Yosinski et al. 2014, How Transferable Are Features in Deep Neural Networks?"
    Options = LastLayersOptions
    options: LastLayersOptions

    def check(self, model: "TargetModel") -> str | None:
        from regraft.model import levels

        found = len(levels(model.backbone))
        if found > self.options.layers:
            return None
        return f"all {found} levels of the source model would learn: take full"

    def prepare(self, model: "TargetModel") -> "TargetModel":
        from regraft.model import levels

        for level in levels(model.backbone)[: -self.options.layers]:
            for parameter in level:
                parameter.requires_grad_(False)
        return model
