"""What every task of sound shares: how files and raw samples become model input."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from regraft import AudioInputs, FileRows, InvalidInputError, TensorSpec, TooLargeError
from regraft_speech.sound import MAX_SECONDS, Sound, decode, duration, samples

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class SoundRows(FileRows):
    """Rows are the contents of sound files, or arrays [L] at the source model's rate."""

    modality = "audio"
    inputs_type = AudioInputs
    suffixes = SUFFIXES
    largest_batch = 2_000_000
    file = "audio"
    raw = TensorSpec("samples", "FP32", ("batch", "length"))
    inputs: AudioInputs

    @classmethod
    def read_file(cls, content: bytes) -> Any:
        return decode(content)

    @classmethod
    def looked_at(cls, content: bytes) -> bytes:
        return Sound.of(content)

    def raw_rows(self, values: Any) -> list[Any]:
        most = MAX_SECONDS * self.inputs.rate
        if values.shape[1] > most:
            raise TooLargeError(
                f"A row of 'samples' has {values.shape[1]:,} values; at most {most:,} are taken."
            )
        if not np.isfinite(values).all() or np.abs(values).max() > 1:
            raise InvalidInputError("'samples' must be numbers from -1 to 1.")
        return list(values)

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        found = [samples(row, self.inputs) for row in rows]
        lengths = np.array([len(row) for row in found], np.int64)
        shortest = round(self.inputs.shortest * self.inputs.rate)
        padded = np.zeros((len(rows), max(shortest, lengths.max())), np.float32)
        for position, row in enumerate(found):
            padded[position, : len(row)] = row
        return {"samples": padded, "lengths": lengths}

    def size(self, row: Any) -> int:
        """Samples as the source model takes them."""
        if not isinstance(row, bytes):
            return max(len(row), round(self.inputs.shortest * self.inputs.rate))
        seconds = min(max(duration(row), self.inputs.shortest), self.inputs.longest)
        return round(seconds * self.inputs.rate)

    def augment(self, batch: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Each row up to twice or half as loud."""
        gain = 2 ** rng.uniform(-1, 1, (len(batch["samples"]), 1))
        louder = np.clip(batch["samples"] * gain, -1, 1).astype(np.float32)
        return {**batch, "samples": louder}
