"""A Keras model of images as a source model: on its torch backend, so it can be trained too."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft import (
    Feature,
    FeatureForm,
    ImageInputs,
    InvalidInputError,
    PixelOptions,
    SourceModel,
    TensorSpec,
)

if TYPE_CHECKING:
    from torch import nn

MOST_CANDIDATES = 6


class KerasImage(SourceModel):
    """Features are outputs of layers: maps and their means, or vectors; the last first."""

    modality = "image"

    def __init__(
        self,
        reference: str,
        path: Path,
        digest: str,
        pixels: PixelOptions,
        random: bool,
        described: dict[str, str],
    ) -> None:
        self.name = reference
        self.path = path
        self.digest = digest
        self.pixels = pixels
        self.random = random
        self.described = described

    def fingerprint(self) -> str:
        kind = "random" if self.random else "trained"
        whole = f"keras {kind} {self.digest} {self.pixels!r}"
        return hashlib.sha256(whole.encode()).hexdigest()

    @cached_property
    def shapes(self) -> tuple[tuple[Any, ...], dict[str, tuple[Any, ...]]]:
        """The shape of the input, and of the layers where the backbone can end, last first."""
        from regraft_keras.layers import ends, load

        model = load(self.path, self.random)
        shape = model.input_shape
        if not (isinstance(shape, tuple) and len(shape) == 4 and shape[3] in (1, 3)):
            raise InvalidInputError(
                f"'{self.name}' takes {shape}; an image [batch, height, width, 1 or 3] is expected."
            )
        return shape, ends(model)

    @cached_property
    def inputs(self) -> ImageInputs:  # type: ignore[override]
        _, height, width, _ = self.shapes[0]
        sides = (height or self.pixels.size, width or self.pixels.size)
        tensor = TensorSpec("pixels", "UINT8", ("batch", *sides, 3))
        pixels = self.pixels
        return ImageInputs((tensor,), *sides, pixels.resize or max(sides), pixels.squash)

    @cached_property
    def features(self) -> tuple[Feature, ...]:  # type: ignore[override]
        ends = self.shapes[1]
        pooled = [Feature(name, "pooled", shape[-1]) for name, shape in ends.items()]
        maps = [
            Feature(f"{name}-map", "map", shape[-1])
            for name, shape in ends.items()
            if len(shape) == 4
        ]
        return (*pooled, *maps)

    def candidates(self, form: FeatureForm) -> tuple[Feature, ...]:
        found = tuple(feature for feature in self.features if feature.form == form)
        return found[:MOST_CANDIDATES] if form == "pooled" else super().candidates(form)

    def module(self, feature: Feature) -> "nn.Module":
        return self.modules((feature,))

    def modules(self, features: Sequence[Feature]) -> "nn.Module":
        from regraft_keras.layers import KerasLayers, load

        names = [feature.name.removesuffix("-map") for feature in features]
        maps = [feature.form == "map" for feature in features]
        scale = (self.pixels.mean, self.pixels.deviation)
        return KerasLayers(load(self.path, self.random), names, maps, scale)

    def details(self) -> dict[str, Any]:
        return {**self.described, "architecture": "Keras"}
