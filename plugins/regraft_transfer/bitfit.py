"""Parameter transfer: the biases alone."""

from typing import TYPE_CHECKING

from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Rate

if TYPE_CHECKING:
    from regraft.model import TargetModel


class BitFitOptions(FineTuningOptions):
    """So few parameters want a greater rate."""

    learning_rate: Rate = 1e-3
    head_rate: Rate = 1.0


class BitFit(FineTuning):
    """The biases of the backbone and the head are trained: a thousandth of all parameters."""

    name = "bitfit"
    summary = "Fine-tune the biases of the source model and a new head"
    paper = "Ben Zaken et al. 2022, BitFit"
    Options = BitFitOptions

    def prepare(self, model: "TargetModel") -> "TargetModel":
        for name, parameter in model.backbone.named_parameters():
            last = name.rpartition(".")[2]
            if not last.endswith("bias") and not last.startswith("bias_"):  # as in an LSTM
                parameter.requires_grad_(False)
        return model
