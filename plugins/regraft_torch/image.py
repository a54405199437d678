"""Image models of PyTorch as source models: what comes out before a classifier."""

import hashlib
import inspect
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft import Feature, ImageInputs, InvalidInputError, PixelOptions, SourceModel, TensorSpec
from regraft.package_file import hash_file
from regraft_torch.catalogue import Entry
from regraft_torch.weights import read_state

if TYPE_CHECKING:
    from torch import nn

SIZE = 1280
FINER = {"map-14": (112, 11), "map-28": (40, 5)}
"""Maps by their side at 224 pixels: their channels, and after how many blocks they are taken."""


class TorchImage(SourceModel):
    """What all of them share: pixels in, a map or its mean out."""

    modality = "image"

    def __init__(self, reference: str, pixels: PixelOptions) -> None:
        self.name = reference
        self.pixels = pixels
        side = pixels.size
        tensor = TensorSpec("pixels", "UINT8", ("batch", side, side, 3))
        self.inputs = ImageInputs((tensor,), side, side, pixels.resize or side, pixels.squash)

    @abstractmethod
    def network(self, feature: Feature | None = None) -> "nn.Module":
        """Normalised pixels [B, 3, H, W] in, a map [B, C, H', W'] or a vector [B, D] out."""

    def module(self, feature: Feature) -> "nn.Module":
        from regraft_torch.backbone import Backbone

        scale = (self.pixels.mean, self.pixels.deviation)
        return Backbone(self.network(feature), scale, feature.form == "pooled")


class CatalogueImage(TorchImage):
    """The code of an installed package with weights that hash to what the catalogue says."""

    features = (
        Feature("pooled", "pooled", SIZE),
        *(Feature(name, "map", size) for name, (size, _) in FINER.items()),
        Feature("map", "map", SIZE),
    )

    def __init__(self, reference: str, entry: Entry, pixels: PixelOptions, random: bool) -> None:
        super().__init__(reference, pixels)
        self.entry = entry
        self.random = random

    def fingerprint(self) -> str:
        weights = "random" if self.random else self.entry.weights.sha256
        whole = f"{self.entry.name} {weights} {self.inputs} {self.pixels!r}"
        return hashlib.sha256(whole.encode()).hexdigest()

    def network(self, feature: Feature | None = None) -> "nn.Module":
        from regraft_torch.backbone import efficientnet

        weights = None if self.random else self.entry.weights.checked(self.entry.name)
        _, blocks = FINER.get(feature.name if feature else "", (SIZE, None))
        return efficientnet(self.entry.name, weights, blocks)

    def details(self) -> dict[str, Any]:
        described = self.entry.descriptor
        return {
            "licence": described.licence,
            "origin": described.origin,
            "architecture": self.entry.name,
        }


class ModuleImage(TorchImage):
    """Any module class, made without arguments. What it gives is found by running it once."""

    def __init__(
        self, reference: str, kind: "type[nn.Module]", weights: Path | None, pixels: PixelOptions
    ) -> None:
        super().__init__(reference, pixels)
        self.kind = kind
        self.weights = weights

    def fingerprint(self) -> str:
        weights = "random" if self.weights is None else hash_file(self.weights)
        place = f"{self.kind.__module__}:{self.kind.__qualname__} {_code(self.kind)}"
        return hashlib.sha256(f"{place} {weights} {self.pixels!r}".encode()).hexdigest()

    @cached_property
    def features(self) -> tuple[Feature, ...]:  # type: ignore[override]
        shape = self._shape()
        if len(shape) == 2:
            return (Feature("pooled", "pooled", shape[1]),)
        if len(shape) == 4:
            return (Feature("pooled", "pooled", shape[1]), Feature("map", "map", shape[1]))
        raise InvalidInputError(
            f"'{self.name}' gives a tensor of the shape {list(shape)}; a vector [batch, size] or a "
            "map [batch, channels, height, width] is expected."
        )

    def _shape(self) -> tuple[int, ...]:
        import torch

        side = self.pixels.size
        with torch.no_grad():
            try:
                found: Any = self.network().eval()(torch.zeros(2, 3, side, side))
            except Exception as error:  # foreign code may raise anything
                raise InvalidInputError(
                    f"'{self.name}' does not take pixels of the shape [2, 3, {side}, {side}]: "
                    f"{type(error).__name__}: {error}"
                ) from error
        if not isinstance(found, torch.Tensor):
            raise InvalidInputError(f"'{self.name}' gives a {type(found).__name__}, not a tensor.")
        return tuple(found.shape)

    def network(self, feature: Feature | None = None) -> "nn.Module":
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                made = self.kind()
            except (Exception, SystemExit) as error:  # foreign code may raise anything
                raise InvalidInputError(
                    f"{self.kind.__qualname__} cannot be made without arguments: {error}."
                ) from error
        if self.weights is not None:
            _load(made, read_state(self.weights), self.weights)
        return made

    def details(self) -> dict[str, Any]:
        return {
            "licence": "see its package",
            "origin": str(self.weights or "untrained"),
            "architecture": f"{self.kind.__module__}.{self.kind.__qualname__}",
        }


def _code(kind: type) -> str:
    """The hash of the file that defines a class, as far as there is one."""
    try:
        return hash_file(Path(inspect.getfile(kind)))
    except (OSError, TypeError):
        return "built in"


def _load(module: "nn.Module", state: dict[str, Any], path: Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()
        raise InvalidInputError(
            f"{path} does not fit {type(module).__qualname__}: {' '.join(first[1:3]).strip()}"
        ) from error
