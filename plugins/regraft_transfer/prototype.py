"""Feature transfer: the nearest mean of a class."""

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from regraft import Folds, LinearHead, TransferStrategy
from regraft_transfer.moments import moments
from regraft_transfer.scale import best_scale


class PrototypeOptions(BaseModel):
    """`feature` names where the backbone ends; None leaves it to cross-validation where the source
    model has several candidates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str | None = None


class Prototype(TransferStrategy):
    """The softmax of negative squared distances from the means of the classes, in standardised
    features; what is equal for all classes falls out, so that it is one affine map."""

    name = "prototype"
    kind = "feature"
    summary = "The class whose mean of frozen features is nearest"
    paper = "Snell et al. 2017, Prototypical Networks for Few-shot Learning"
    freezes_backbone = True
    Options = PrototypeOptions
    options: PrototypeOptions

    def feature(self) -> str | None:
        return self.options.feature

    def fit(self, features: Any, targets: Any, folds: Folds) -> LinearHead:
        mean, scale = moments(features)
        standard = (features - mean) * scale
        centres = _centres(standard, targets)
        trust = best_scale(_nearness, standard, targets, folds)
        weight, bias = 2 * trust * centres * scale, -trust * np.square(centres).sum(1)
        return LinearHead(weight.astype(np.float32), (bias - weight @ mean).astype(np.float32))


def _centres(features: Any, targets: Any) -> Any:
    return np.stack([features[targets == number].mean(0) for number in range(targets.max() + 1)])


def _nearness(known: Any, targets: Any, features: Any) -> Any:
    centres = _centres(known, targets)
    return 2 * features @ centres.T - np.square(centres).sum(1)
