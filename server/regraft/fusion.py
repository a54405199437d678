"""A source model that ends at several of another's features at once."""

import hashlib
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regraft.contract import Feature, SourceModel
from regraft.errors import UnsupportedError

if TYPE_CHECKING:
    from torch import nn


class FusedSource(SourceModel):
    """Its one feature is all of these of the inner source, joined: [B, D1 + D2 + …]."""

    def __init__(self, inner: SourceModel, features: Sequence[Feature]) -> None:
        if len(features) < 2 or any(feature.form != "pooled" for feature in features):
            raise UnsupportedError(
                f"Source model '{inner.name}' offers one place to end, so that there is nothing to "
                "join: take linear-probe."
            )
        self.inner = inner
        self.joined = tuple(features)
        self.name = inner.name
        self.modality = inner.modality
        self.trainable = inner.trainable
        self.pretrained = inner.pretrained
        self.inputs = inner.inputs
        size = sum(feature.size for feature in features)
        self.features = (Feature("fusion", "pooled", size),)

    def fingerprint(self) -> str:
        names = " ".join(feature.name for feature in self.joined)
        return hashlib.sha256(f"{self.inner.fingerprint()} {names}".encode()).hexdigest()

    def module(self, feature: Feature) -> "nn.Module | None":
        import torch

        class Joined(torch.nn.Module):
            def __init__(self, whole: torch.nn.Module) -> None:
                super().__init__()
                self.whole = whole

            def forward(self, **inputs: Any) -> torch.Tensor:
                return torch.cat(self.whole(**inputs), dim=-1)

        whole = self.inner.modules(self.joined)
        if whole is None:
            return None
        # The exporter tells the inputs by the names in the signature.
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        given = inspect.signature(whole.forward).parameters.values()
        named: Any = Joined.forward
        named.__signature__ = inspect.Signature([own, *given])
        return Joined(whole)

    def details(self) -> dict[str, Any]:
        return self.inner.details()
