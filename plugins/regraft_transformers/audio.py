"""An encoder of sound as a source model: any of its layers, pooled over time or step by step.

Which layer knows most depends on the task: on Mandarin tones Whisper's last loses to plain MFCC and
its first two win. So all are candidates, among which transfer chooses.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft import (
    AudioInputs,
    Feature,
    FeatureForm,
    InvalidInputError,
    OwnHead,
    SourceModel,
    TensorSpec,
    UnsupportedError,
)
from regraft_transformers.catalogue import described
from regraft_transformers.checkpoint import Checkpoint
from regraft_transformers.whisper import (
    layer_count,
    read_part,
    sizes_of,
    whisper_decoder,
    whisper_encoder,
)

if TYPE_CHECKING:
    from torch import nn

RATE = 16_000
SHORTEST, LONGEST = 0.1, 30.0
TENSORS = (
    TensorSpec("samples", "FP32", ("batch", "length")),
    TensorSpec("lengths", "INT64", ("batch",)),
)
WAVEFORM = ("wav2vec2", "hubert", "unispeech", "unispeech-sat")
"""Model types that take raw sound and are built alike."""


class AudioEncoder(SourceModel):
    """What Whisper and the encoders of raw sound share: the names and sizes of their features."""

    modality = "audio"
    inputs: AudioInputs
    layers: int
    size: int

    def __init__(self, reference: str, folder: Path, window: bool = False) -> None:
        self.name = reference
        self.folder = folder
        self.window = window
        self.inputs = AudioInputs(TENSORS, self.rate, LONGEST if window else SHORTEST, LONGEST)

    @property
    def rate(self) -> int:
        return RATE

    @cached_property
    def features(self) -> tuple[Feature, ...]:  # type: ignore[override]
        """The middle layer first: what a task without labels enough to choose gets."""
        order = sorted(range(self.layers + 1), key=lambda number: abs(number - self.layers / 2))
        pooled = [Feature(f"layer-{n}-mean", "pooled", self.size) for n in order]
        spread = [Feature(f"layer-{n}-mean-std", "pooled", 2 * self.size) for n in order]
        steps = [Feature(f"layer-{n}", "sequence", self.size) for n in range(self.layers, 0, -1)]
        return (*pooled, *spread, *steps)

    def candidates(self, form: FeatureForm) -> tuple[Feature, ...]:
        if form != "pooled":
            return super().candidates(form)
        return tuple(feature for feature in self.features if feature.form == form)

    def module(self, feature: Feature) -> "nn.Module":
        return self.modules((feature,))

    def modules(self, features: Sequence[Feature]) -> "nn.Module":
        from regraft_transformers.audio_layers import AudioLayers, layer_of

        last = max(layer_of(feature.name) for feature in features)
        return AudioLayers(self.encoder(last), tuple(features))

    @abstractmethod
    def encoder(self, last: int) -> "nn.Module":
        """Samples and lengths in, the states of the layers 0 to `last` and their mask out."""

    @property
    @abstractmethod
    def architecture(self) -> str: ...

    def details(self) -> dict[str, Any]:
        known = described(self.name, self.folder)
        longest = f"{self.inputs.longest:g} s at {self.inputs.rate:,} Hz"
        return {**known, "architecture": self.architecture, "longest": longest}


class Whisper(AudioEncoder):
    """What both of its forms share: a decoder that transcribes, of 30 seconds."""

    @abstractmethod
    def decoder(self) -> Any:
        """Transformers' decoder with the weights."""

    def own_head(self, task: str) -> OwnHead | None:
        """Its decoder, for speech recognition."""
        tokenizer = self.folder / "tokenizer.json"
        if task != "speech-recognition" or not tokenizer.is_file():
            return None
        if not self.window:
            raise UnsupportedError(
                f"The decoder of '{self.name}' knows windows of 30 seconds alone: take the source "
                f"model '{self.name}?window=30'."
            )
        from regraft_transformers.characters import CHARACTERS

        feature = self.feature("sequence", f"layer-{self.layers}")
        return OwnHead(feature, CHARACTERS, self._transcriber)

    def _transcriber(self) -> "nn.Module":
        from regraft_transformers.whisper_decoder import Vocabulary, WhisperTranscriber

        return WhisperTranscriber(self.decoder(), Vocabulary(self.folder / "tokenizer.json"))


class WhisperFolder(Whisper):
    """Whisper as a Transformers checkpoint."""

    architecture = "whisper"

    def __init__(self, reference: str, folder: Path, random: bool, window: bool) -> None:
        self.checkpoint = Checkpoint(folder, random)
        self.layers = self.checkpoint.count("encoder_layers")
        self.size = self.checkpoint.count("d_model")
        super().__init__(reference, folder, window)

    def fingerprint(self) -> str:
        return self.checkpoint.digest(repr(self.inputs).encode())

    def encoder(self, last: int) -> "nn.Module":
        from regraft_transformers.audio_layers import WhisperLayers

        return WhisperLayers(self.checkpoint.model().encoder, last, self.window)

    def decoder(self) -> Any:
        return self.checkpoint.model().decoder


class WhisperFile(Whisper):
    """Whisper as a CTranslate2 file, `model.bin`."""

    architecture = "whisper (CTranslate2)"

    def __init__(self, reference: str, folder: Path, random: bool, window: bool) -> None:
        self.random = random
        self.path = folder / "model.bin"
        self.layers = layer_count(self.variables)
        self.size = self.shape["d_model"]
        super().__init__(reference, folder, window)

    @cached_property
    def variables(self) -> dict[str, Any]:
        return read_part(self.path, "encoder/")

    @cached_property
    def shape(self) -> dict[str, int]:
        return sizes_of(self.variables)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(b"random" if self.random else b"trained")
        with self.path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(repr(self.inputs).encode())
        return digest.hexdigest()

    def encoder(self, last: int) -> "nn.Module":
        from regraft_transformers.audio_layers import WhisperLayers

        variables = None if self.random else self.variables
        return WhisperLayers(whisper_encoder(variables, self.shape), last, self.window)

    def decoder(self) -> Any:
        return whisper_decoder(read_part(self.path, "decoder/"), self.random)


class WaveformFolder(AudioEncoder):
    """An encoder of raw sound as a Transformers checkpoint."""

    def __init__(self, reference: str, folder: Path, random: bool) -> None:
        self.checkpoint = Checkpoint(folder, random)
        if self.checkpoint.config.get("add_adapter"):
            raise InvalidInputError(f"{folder} has an adapter behind its encoder: not supported.")
        self.layers = self.checkpoint.count("num_hidden_layers")
        self.size = self.checkpoint.count("hidden_size")
        super().__init__(reference, folder)

    @property
    def architecture(self) -> str:
        return self.checkpoint.kind

    @property
    def preprocessor(self) -> dict[str, Any]:
        return self.checkpoint.json("preprocessor_config.json")

    @property
    def rate(self) -> int:
        return int(self.preprocessor.get("sampling_rate", RATE))

    @property
    def normalises(self) -> bool:
        return bool(self.preprocessor.get("do_normalize", True))

    def fingerprint(self) -> str:
        return self.checkpoint.digest(f"{self.inputs} {self.normalises}".encode())

    def encoder(self, last: int) -> "nn.Module":
        from regraft_transformers.audio_layers import WaveformLayers

        model = self.checkpoint.model(num_hidden_layers=last)
        return WaveformLayers(model, self.normalises, last == self.layers)
