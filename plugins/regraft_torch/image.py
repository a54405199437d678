"""An image classifier of PyTorch as a source model: what comes before its last layer."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft import Feature, ImageInputs, InvalidInputError, SourceModel, TensorSpec
from regraft_torch.catalogue import Entry

if TYPE_CHECKING:
    from torch import nn


class ImageModule(SourceModel):
    """The code of an installed package with weights that hash to what the catalogue says."""

    modality = "image"

    def __init__(self, reference: str, entry: Entry, weights: Path, random: bool) -> None:
        self.name = reference
        self.entry = entry
        self.weights = weights
        self.random = random
        pixels = TensorSpec("pixels", "UINT8", ("batch", entry.side, entry.side, 3))
        self.inputs = ImageInputs((pixels,), entry.side, entry.side, entry.resize)
        self.features = (
            Feature("pooled", "pooled", entry.size),
            Feature("map", "map", entry.size),
        )

    def fingerprint(self) -> str:
        weights = "random" if self.random else self.entry.sha256
        scale = (self.entry.mean, self.entry.deviation)
        whole = f"{self.entry.architecture} {weights} {self.inputs} {scale}"
        return hashlib.sha256(whole.encode()).hexdigest()

    def module(self, feature: Feature) -> "nn.Module":
        from regraft_torch.backbone import Backbone, network

        if not self.random:
            self._check()
        made = network(self.entry.architecture, None if self.random else self.weights)
        return Backbone(made, (self.entry.mean, self.entry.deviation), feature.form == "pooled")

    def _check(self) -> None:
        with self.weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.entry.sha256:
            raise InvalidInputError(
                f"{self.weights} is damaged or another version: it hashes to {found}."
            )

    def details(self) -> dict[str, Any]:
        described = self.entry.descriptor
        return {
            "licence": described.licence,
            "origin": described.origin,
            "architecture": self.entry.architecture,
        }
