"""A Transformers encoder of images as a source model: any of its layers, as a map or pooled."""

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
from regraft_transformers.catalogue import described
from regraft_transformers.checkpoint import Checkpoint

if TYPE_CHECKING:
    from torch import nn

TOKENS = ("vit", "deit", "beit", "dinov2", "dinov2_with_registers", "ijepa", "vit_msn")
"""Encoders of patches: a state is [B, 1 + patches, D], the first of them for the whole image."""
MAPS = ("resnet", "convnext", "convnextv2", "regnet", "swin")
"""Encoders whose state, taken apart in space, is a map [B, C, H, W]."""
KINDS = (*TOKENS, *MAPS)
CANDIDATES = 4
"""The last so many layers, each in its forms of pooling."""
SIZE = 224
LARGE = 384
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALVES = ("vit", "beit", "vit_msn", "ijepa")
"""Kinds whose mean and deviation are a half where nothing else is said."""
SQUARE = ("ViT", "DeiT", "Beit")
"""Image processors for which one number is both sides."""


class ImageEncoder(SourceModel):
    """`layer-N-first` is a state's first token, `layer-N-mean` the mean of patches or of a map."""

    modality = "image"

    def __init__(self, reference: str, folder: Path, random: bool) -> None:
        self.name = reference
        self.folder = folder
        self.checkpoint = Checkpoint(folder, random)
        self.tokens = self.checkpoint.kind in TOKENS
        self.sizes = self._sizes()

    def _sizes(self) -> dict[int, int]:
        """The size of each layer's state, by its number; the last first."""
        config = self.checkpoint.config
        if self.tokens:
            layers = self.checkpoint.count("num_hidden_layers")
            return dict.fromkeys(range(layers, 0, -1), self.checkpoint.count("hidden_size"))
        sizes = config.get("hidden_sizes")
        if sizes is None and "embed_dim" in config:
            # Each stage but the last ends with halved sides and twice the channels.
            stages = len(config.get("depths", ()))
            sizes = [config["embed_dim"] * 2 ** min(n + 1, stages - 1) for n in range(stages)]
        if not sizes:
            raise InvalidInputError(f"{self.folder} has no hidden_sizes in its config.json.")
        return {number: int(sizes[number - 1]) for number in range(len(sizes), 0, -1)}

    @cached_property
    def pixels(self) -> PixelOptions:
        """As preprocessor_config.json says; without one as most of the kind are."""
        found = self.checkpoint.json("preprocessor_config.json")
        size = _side(found.get("size")) or SIZE
        crop = _side(found.get("crop_size")) if found.get("do_center_crop", True) else None
        squash = crop is None and _is_square(found)
        if "crop_pct" in found:  # Of ConvNeXt: large images are squashed, small ones cut.
            squash = size >= LARGE
            size, crop = (size, None) if squash else (int(size / found["crop_pct"]), size)
        scale = 1 / float(found.get("rescale_factor", 1 / 255))
        plain = not found.get("do_normalize", True)
        usual = IMAGENET if not found and self.checkpoint.kind not in HALVES else ([0.5], [0.5])
        mean = [0.0] * 3 if plain else found.get("image_mean", usual[0])
        deviation = [1.0] * 3 if plain else found.get("image_std", usual[1])
        return PixelOptions.model_validate(
            {
                "size": crop or size,
                "resize": max(size, crop or 0),
                "squash": squash,
                "mean": [value * scale for value in mean],
                "deviation": [value * scale for value in deviation],
            }
        )

    @cached_property
    def inputs(self) -> ImageInputs:  # type: ignore[override]
        side = self.pixels.size
        tensor = TensorSpec("pixels", "UINT8", ("batch", side, side, 3))
        return ImageInputs((tensor,), side, side, self.pixels.resize or side, self.pixels.squash)

    @cached_property
    def features(self) -> tuple[Feature, ...]:  # type: ignore[override]
        forms = ("first", "mean") if self.tokens else ("mean",)
        pooled = [
            Feature(f"layer-{number}-{form}", "pooled", size)
            for number, size in self.sizes.items()
            for form in forms
        ]
        maps = [Feature(f"layer-{number}", "map", size) for number, size in self.sizes.items()]
        return (*pooled, *maps)

    def candidates(self, form: FeatureForm) -> tuple[Feature, ...]:
        if form != "pooled":
            return super().candidates(form)
        last = max(self.sizes)
        return tuple(
            feature
            for feature in self.features
            if feature.form == form and layer_of(feature.name) > last - CANDIDATES
        )

    def fingerprint(self) -> str:
        return self.checkpoint.digest(repr(self.pixels).encode())

    def module(self, feature: Feature) -> "nn.Module":
        return self.modules((feature,))

    def modules(self, features: Sequence[Feature]) -> "nn.Module":
        from regraft_transformers.image_layers import ImageLayers

        last = max(layer_of(feature.name) for feature in features)
        whole = last == max(self.sizes)
        # Only of patches can layers be left out by the configuration.
        changes = {} if whole or not self.tokens else {"num_hidden_layers": last}
        model = self.checkpoint.model(attn_implementation="eager", **changes)
        names = tuple(feature.name for feature in features)
        return ImageLayers(model, names, (self.pixels.mean, self.pixels.deviation), whole)

    def details(self) -> dict[str, Any]:
        return {**described(self.name, self.folder), "architecture": self.checkpoint.kind}


def layer_of(name: str) -> int:
    return int(name.split("-")[1])


def _is_square(found: dict[str, Any]) -> bool:
    """Whether an image processor brings whole images to a square."""
    size = found.get("size")
    if isinstance(size, dict):
        return "height" in size
    name = found.get("image_processor_type") or found.get("feature_extractor_type") or ""
    return str(name).startswith(SQUARE)


def _side(size: Any) -> int | None:
    """Of a size in any of the ways that preprocessor configurations have it."""
    if isinstance(size, dict):
        size = size.get("shortest_edge") or size.get("height")
    return size if isinstance(size, int) else None
