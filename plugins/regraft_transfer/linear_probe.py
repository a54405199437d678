"""Feature transfer: a linear classifier on the frozen features of the source model."""

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from regraft import LinearHead, TransferStrategy
from regraft_transfer.logistic import best_strength, logistic_regression


class LinearProbeOptions(BaseModel):
    """`feature` names where the backbone ends; None is the source model's default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str | None = None
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    strengths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (
        0.001,
        0.003,
        0.01,
        0.03,
        0.1,
        0.3,
        1.0,
    )


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

    def fit(self, features: Any, targets: Any) -> LinearHead:
        """One affine map: the standardisation is folded into weight and bias."""
        mean = features.mean(0, dtype=np.float64)
        scale = 1 / np.maximum(features.std(0, dtype=np.float64), 1e-6)
        standard = (features - mean) * scale
        folds = StratifiedKFold(self.options.folds, shuffle=True, random_state=self.seed)
        with threadpool_limits(1):  # the products are small: threads cost 2-3 times what they save
            strength = best_strength(standard, targets, self.options.strengths, folds)
            weight, bias = logistic_regression(standard, targets, strength)
        folded = weight * scale
        return LinearHead(folded.astype(np.float32), (bias - folded @ mean).astype(np.float32))
