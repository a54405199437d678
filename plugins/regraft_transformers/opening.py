"""Which kind of encoder a folder holds."""

from pathlib import Path

from regraft import InvalidInputError, SourceModel
from regraft_transformers.audio import WAVEFORM, WaveformFolder, WhisperFile, WhisperFolder
from regraft_transformers.checkpoint import Checkpoint
from regraft_transformers.image import KINDS, ImageEncoder
from regraft_transformers.reference import Options
from regraft_transformers.text import TextEncoder

UNSUPPORTED = (
    *("data2vec-audio", "wavlm", "sew", "sew-d", "wav2vec2-conformer", "wav2vec2-bert"),
    *("audio-spectrogram-transformer", "clap", "vit_mae", "swinv2", "clip", "siglip", "blip"),
)
"""Encoders of sound and images that see padding, draw at random, or are built in other ways."""


def open_folder(reference: str, folder: Path, options: Options) -> SourceModel:
    """The encoder of this folder by its model type; without one it is a CTranslate2 model. What is
    neither sound nor image is taken for text."""
    random, window = options.untrained, options.window is not None
    kind = Checkpoint(folder, random).config.get("model_type")
    if kind is None:
        return WhisperFile(reference, folder, random, window)
    if kind == "whisper":
        return WhisperFolder(reference, folder, random, window)
    if window:
        raise InvalidInputError(f"'{reference}': a window is an option of Whisper alone.")
    if kind in WAVEFORM:
        return WaveformFolder(reference, folder, random)
    if kind in UNSUPPORTED:
        raise InvalidInputError(
            f"'{reference}' holds a '{kind}' model, of which no features can be had here. Encoders "
            f"that can be used: of images {', '.join(KINDS)}; of sound whisper, "
            f"{', '.join(WAVEFORM)}; and encoders of text."
        )
    if kind in KINDS:
        return ImageEncoder(reference, folder, random)
    return TextEncoder(reference, folder, random)
