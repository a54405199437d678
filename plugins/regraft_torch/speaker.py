"""The speaker encoder of Resemblyzer as a source model (Wan et al. 2018, generalised end-to-end
loss): who speaks, whatever is said."""

import hashlib
from typing import TYPE_CHECKING, Any

from regraft import AudioInputs, Feature, SourceModel, TensorSpec
from regraft_torch.catalogue import Entry

if TYPE_CHECKING:
    from torch import nn

RATE = 16_000
TENSORS = (
    TensorSpec("samples", "FP32", ("batch", "length")),
    TensorSpec("lengths", "INT64", ("batch",)),
)
LAYERS, SIZE = 3, 256


class SpeakerEncoder(SourceModel):
    """The embedding, or the mean over time of any LSTM layer."""

    modality = "audio"
    inputs = AudioInputs(TENSORS, RATE, 0.1, 10.0)
    features = (
        Feature("embedding", "pooled", SIZE),
        *(Feature(f"layer-{n}-mean", "pooled", SIZE) for n in range(LAYERS, 0, -1)),
    )

    def __init__(self, reference: str, entry: Entry, random: bool) -> None:
        self.name = reference
        self.entry = entry
        self.random = random

    def fingerprint(self) -> str:
        weights = "random" if self.random else self.entry.weights.sha256
        return hashlib.sha256(f"resemblyzer at -30 dB {weights} {self.inputs}".encode()).hexdigest()

    def candidates(self, form: Any) -> tuple[Feature, ...]:
        return self.features if form == "pooled" else super().candidates(form)

    def module(self, feature: Feature) -> "nn.Module":
        return self.modules((feature,))

    def modules(self, features: Any) -> "nn.Module":
        from regraft_torch.speaker_layers import speaker_layers

        weights = None if self.random else self.entry.weights.checked(self.entry.name)
        return speaker_layers(weights, tuple(feature.name for feature in features))

    def details(self) -> dict[str, Any]:
        described = self.entry.descriptor
        return {
            "licence": described.licence,
            "origin": described.origin,
            "architecture": "LSTM",
            "longest": f"{self.inputs.longest:g} s at {RATE:,} Hz",
        }
