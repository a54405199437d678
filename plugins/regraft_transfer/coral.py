"""Cross-domain transfer: features of both domains with the same covariance."""

from typing import TYPE_CHECKING

from regraft import Rows, Step
from regraft_transfer.cross_domain import CrossDomain

if TYPE_CHECKING:
    from torch import Tensor


class Coral(CrossDomain):
    """The squared distance of the two covariances, as a share of the larger one's size, so that it
    weighs alike in features of any size and number."""

    name = "coral"
    summary = "Fine-tune while the covariance of the features becomes that of the target"
    paper = "Sun & Saenko 2016, Deep CORAL"

    def gap(self, step: Step, target: Rows) -> "Tensor":
        one, other = (_covariance(rows.features) for rows in (step, target))
        size = max(one.norm().detach(), other.norm().detach()) ** 2
        apart: Tensor = (one - other).square().sum() / size.clamp_min(1e-9)
        return apart


def _covariance(features: "Tensor") -> "Tensor":
    centred = features - features.mean(0)
    covariance: Tensor = centred.T @ centred / max(1, len(features) - 1)
    return covariance
