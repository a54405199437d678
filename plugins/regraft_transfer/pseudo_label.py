"""Cross-domain transfer: the model's own sure answers as labels of the target."""

from typing import TYPE_CHECKING

from regraft import Rows, Step
from regraft_transfer.cross_domain import CrossDomain, CrossDomainOptions, ramp
from regraft_transfer.fine_tuning import Share

if TYPE_CHECKING:
    from torch import Tensor


class PseudoLabelOptions(CrossDomainOptions):
    """An answer is taken for a label from this `confidence` on."""

    confidence: Share = 0.95


class PseudoLabel(CrossDomain):
    """Rows without labels that are answered surely are learnt as if that were true, more and more
    as training goes on."""

    name = "pseudo-label"
    summary = "Fine-tune on the target's rows too, with the model's own sure answers as labels"
    paper = "Lee 2013, Pseudo-Label"
    Options = PseudoLabelOptions
    options: PseudoLabelOptions

    def gap(self, step: Step, target: Rows) -> "Tensor":
        from torch.nn.functional import cross_entropy

        confidence, answer = target.logits.detach().softmax(-1).max(-1)
        sure = (confidence >= self.options.confidence).to(target.logits.dtype)
        losses = cross_entropy(target.logits, answer, reduction="none")
        return ramp(step.progress) * (losses * sure).mean()
