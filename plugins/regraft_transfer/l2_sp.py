"""Parameter transfer: fine-tuning that is pulled back to where it started."""

from typing import TYPE_CHECKING

from regraft import Step
from regraft_transfer.fine_tuning import FineTuning, FineTuningOptions, Strength

if TYPE_CHECKING:
    from torch import Tensor

    from regraft.model import TargetModel


class StartingPointOptions(FineTuningOptions):
    """Penalties in place of weight decay: of the backbone's distance from the source model, and of
    the head's from zero."""

    backbone: Strength = 0.01
    head: Strength = 0.01
    weight_decay: Strength = 0.0


class StartingPoint(FineTuning):
    """The source model is the prior: its weights are what an unneeded change goes back to."""

    name = "l2-sp"
    summary = "Fine-tune everything with a penalty on the distance from the source model"
    paper = "Li et al. 2018, Explicit Inductive Bias for Transfer Learning"
    Options = StartingPointOptions
    options: StartingPointOptions

    def prepare(self, model: "TargetModel") -> "TargetModel":
        self.start = {n: p.detach().clone() for n, p in model.backbone.named_parameters()}
        return model

    def loss(self, step: Step) -> "Tensor":
        import torch

        moved = [
            (p - self.start[name].to(p.device)).square().sum()
            for name, p in step.model.backbone.named_parameters()
            if p.requires_grad
        ]
        head = [p.square().sum() for p in step.model.head.parameters()]
        backbone = self.options.backbone / 2 * sum(moved, torch.zeros_like(step.task_loss))
        return step.task_loss + backbone + self.options.head / 2 * torch.stack(head).sum()
