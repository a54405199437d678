"""Cross-domain transfer: features of both domains with the same distribution."""

from typing import TYPE_CHECKING

from regraft import Rows, Step
from regraft_transfer.cross_domain import CrossDomain

if TYPE_CHECKING:
    from torch import Tensor

WIDTHS = tuple(2.0**power for power in range(-3, 2))


class MeanDiscrepancy(CrossDomain):
    """The maximum mean discrepancy under the mean of five Gaussian kernels, whose widths are
    multiples of the mean squared distance of the rows."""

    name = "mmd"
    summary = "Fine-tune while the distribution of the features becomes that of the target"
    paper = "Long et al. 2015, Learning Transferable Features with Deep Adaptation Networks"

    def gap(self, step: Step, target: Rows) -> "Tensor":
        import torch

        count = len(step.features)
        rows = torch.cat([step.features, target.features])
        squares = rows.square().sum(-1)
        distances = (squares.unsqueeze(1) + squares - 2 * rows @ rows.T).clamp_min(0)
        mean = distances.detach().sum() / max(1, len(rows) * (len(rows) - 1))
        kernel = torch.stack([(-distances / (w * mean + 1e-9)).exp() for w in WIDTHS]).mean(0)
        within = kernel[:count, :count].mean() + kernel[count:, count:].mean()
        return within - 2 * kernel[:count, count:].mean()
