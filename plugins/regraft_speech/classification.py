"""Audio classification: one label for each sound."""

from typing import Any

from regraft import Classification, Columns
from regraft_speech.rows import SoundRows


class AudioClassification(SoundRows, Classification):
    """A label for a sound, from a pooled feature of an encoder of sound."""

    name = "audio-classification"
    summary = "One of 2 to 1,000 labels for each sound"
    columns = Columns(
        input=("audio", "path", "file", "file_name", "filename"),
        label=("label", "class", "category", "target", "y"),
    )

    def simple_baseline(self, seed: int) -> Any:
        """Statistics of MFCCs, then logistic regression."""
        from regraft_speech.baseline import mfcc_logistic_regression

        return mfcc_logistic_regression(seed)
