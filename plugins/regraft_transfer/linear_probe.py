"""Feature transfer: a linear classifier on the frozen features of the source model."""

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from regraft import Folds, LinearHead, TransferStrategy
from regraft_transfer.logistic import STRENGTHS, logistic_regression, path_losses, probe_loss
from regraft_transfer.moments import moments


class LinearProbeOptions(BaseModel):
    """`feature` names where the backbone ends; None leaves it to cross-validation where the source
    model has several candidates. `strengths` are inverse penalties to choose among."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str | None = None
    strengths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = STRENGTHS


class LinearProbe(TransferStrategy):
    """Standardise, then multinomial logistic regression; its strength by cross-validation."""

    name = "linear-probe"
    kind = "feature"
    summary = "Logistic regression on frozen features"
    paper = "Kornblith et al. 2019, Do Better ImageNet Models Transfer Better?"
    freezes_backbone = True
    Options = LinearProbeOptions
    options: LinearProbeOptions

    def feature(self) -> str | None:
        return self.options.feature

    def fit(self, features: Any, targets: Any, folds: Folds) -> LinearHead:
        """One affine map: the standardisation is folded into weight and bias."""
        mean, scale = moments(features)
        standard = (features - mean) * scale
        with threadpool_limits(1):  # the products are small: threads cost 2-3 times what they save
            strength = self._strength(standard, targets, folds)
            weight, bias = logistic_regression(standard, targets, strength)
        folded = weight * scale
        return LinearHead(folded.astype(np.float32), (bias - folded @ mean).astype(np.float32))

    def _strength(self, standard: Any, targets: Any, folds: Folds) -> float:
        """That of the least out-of-fold log loss; the middle one without folds."""
        strengths = self.options.strengths
        if len(strengths) == 1 or not folds:
            return float(strengths[len(strengths) // 2])
        return float(strengths[int(np.argmin(path_losses(standard, targets, strengths, folds)))])

    def cross_validate(self, features: Any, targets: Any, folds: Folds) -> float:
        """Of the best strength, which the same folds choose."""
        return probe_loss(features, targets, folds, self.options.strengths)
