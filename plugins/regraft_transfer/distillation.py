"""Structure transfer: a smaller student learns from the adapted model."""

import copy
from typing import TYPE_CHECKING, ClassVar

from regraft import Rows, Step
from regraft_transfer.fine_tuning import Rate, Strength
from regraft_transfer.student_init import StudentInit, StudentOptions

if TYPE_CHECKING:
    from torch import Tensor

    from regraft.model import TargetModel


class DistillationOptions(StudentOptions):
    """The student's loss: `soft` times the divergence from the teacher at this temperature, and
    `hard` times that of the task."""

    temperature: Rate = 5.0
    soft: Strength = 1.0
    hard: Strength = 0.1
    head_rate: Rate = 1.0


class Distillation(StudentInit):
    """The teacher is fine-tuned first; the student, half of its layers, learns its answers, also on
    rows that nobody has labelled."""

    name = "distillation"
    summary = "Train half of the layers to answer as the fine-tuned whole model does"
    paper = "Hinton et al. 2015, Distilling the Knowledge in a Neural Network"
    after = "lp-ft"
    unlabelled: ClassVar = "used"
    Options = DistillationOptions
    options: DistillationOptions

    def prepare(self, model: "TargetModel") -> "TargetModel":
        self.teacher = copy.deepcopy(model).eval().requires_grad_(False)
        return super().prepare(model)

    def loss(self, step: Step) -> "Tensor":
        import torch

        parts = [step] if step.unlabelled is None else [step, step.unlabelled]
        soft = torch.stack([self._divergence(part) for part in parts]).mean()
        return self.options.hard * step.task_loss + self.options.soft * soft

    def _divergence(self, rows: Rows) -> "Tensor":
        from torch.nn.functional import kl_div

        heat = self.options.temperature
        teacher = self.teacher.to(rows.logits.device)
        wanted = (teacher(**rows.batch)[1] / heat).log_softmax(-1)
        found = (rows.logits / heat).log_softmax(-1)
        return kl_div(found, wanted, reduction="batchmean", log_target=True) * heat**2
