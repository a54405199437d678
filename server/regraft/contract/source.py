"""The contract of a source model: what it takes, where it can end, and its graph or module."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from regraft.contract.inputs import Array, Inputs
from regraft.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

FeatureForm = Literal["pooled", "sequence", "map"]


@dataclass(frozen=True)
class Feature:
    """Where a backbone can end: `pooled` [B, D], `sequence` [B, T, D] or `map` [B, C, H, W].

    `size` is D or C.
    """

    name: str
    form: FeatureForm
    size: int


@dataclass(frozen=True)
class SourceDescriptor:
    """A row of the catalogue: what is known of a source model without opening it."""

    name: str
    modality: str
    licence: str
    origin: str
    summary: str
    prior: float | None = None
    """How well it does on the benchmark of its own field, such as ImageNet, in percent."""


@dataclass(frozen=True)
class LinearHead:
    """One affine map: logits = features · weightᵀ + bias; weight [C, D], bias [C], float32."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class OwnHead:
    """What a source model came with for a task: from `feature` to outputs as the task serves them,
    of these labels. `module` makes it."""

    feature: Feature
    labels: tuple[str, ...]
    module: "Callable[[], torch.nn.Module]"


class SourceModel(ABC):
    """A pretrained model, opened. It gives an ONNX graph, or a torch module, or both.

    With a module alone the host exports it; with a graph alone only strategies that freeze the
    backbone apply.
    """

    name: str
    modality: str
    trainable: bool = True
    """Whether there is a torch module; without one only strategies that freeze it apply."""
    pretrained: bool = True
    """Whether it has learnt anything that could be transferred."""
    inputs: Inputs
    features: tuple[Feature, ...]
    """The places where the backbone can end, the best default of each form first."""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines the outputs: weights, configuration, tokenizer."""

    def graph(self, feature: Feature) -> bytes | None:
        """The backbone that ends at `feature` as a single-file ONNX model, if it is one already."""
        return None

    def module(self, feature: Feature) -> "torch.nn.Module | None":
        """A fresh torch module of it: the tensors of `inputs` by name in, the feature out."""
        return None

    def candidates(self, form: FeatureForm) -> tuple[Feature, ...]:
        """The features of this form among which transfer chooses where the user names none."""
        return (self.feature(form),)

    def modules(self, features: Sequence[Feature]) -> "torch.nn.Module | None":
        """A fresh torch module that gives all of these in one pass, as a tuple in this order.

        Wanted of a source with more than one candidate: their exports are parts of one graph.
        """
        return None

    def own_head(self, task: str) -> OwnHead | None:
        """The head that it came with for the task of this name, if it did."""
        return None

    def details(self) -> dict[str, Any]:
        """What `regraft sources show` adds: licence, origin, and `parameters`, their count, where
        it is known without a torch module."""
        return {}

    def feature(self, form: FeatureForm, name: str | None = None) -> Feature:
        """The feature of this name, or the default one of this form."""
        fitting = [feature for feature in self.features if feature.form == form]
        for feature in fitting:
            if name in (None, feature.name):
                return feature
        offered = ", ".join(feature.name for feature in fitting) or "none"
        wanted = f"a feature '{name}'" if name else "any feature"
        raise UnsupportedError(
            f"Source model '{self.name}' lacks {wanted} of the form '{form}'. It offers: {offered}."
        )
