"""Speech recognition: what is said, letter by letter, by connectionist temporal classification."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft import Columns, Feature, TensorSpec
from regraft_speech.rows import SoundRows
from regraft_speech.transcripts import (
    BLANK,
    collapse,
    ctc_loss,
    edit_distance,
    one_hot,
)

if TYPE_CHECKING:
    import torch
    from torch import nn


class SpeechRecognition(SoundRows):
    """The text of a sound, from the steps of an encoder (Graves et al. 2006).

    The labels are the characters that occur. Outputs are probabilities [B, T, 1 + C] of a blank and
    of each character at every step; what is padding, which a source model gives as zeros, is blank.
    """

    name = "speech-recognition"
    summary = "The text of each sound, from characters that occur in the transcripts"
    form = "sequence"
    primary = "word_accuracy"
    columns = Columns(
        input=("audio", "path", "file", "file_name", "filename"),
        label=("text", "transcript", "transcription", "sentence", "label"),
    )
    classes = False

    @classmethod
    def labels_of(cls, labels: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted({character for text in labels for character in text}))

    def targets(self, labels: Sequence[str]) -> Any:
        """Numbers of characters from 1 [N, L], filled up with -1; unknown ones are 1 + C."""
        known = {character: number for number, character in enumerate(self.labels, 1)}
        longest = max(1, *map(len, labels))
        found = np.full((len(labels), longest), -1, np.int64)
        for row, text in enumerate(labels):
            found[row, : len(text)] = [known.get(c, 1 + len(self.labels)) for c in text]
        return found

    def head(self, feature: Feature) -> "nn.Module":
        from regraft_speech.head import CharacterHead

        return CharacterHead(feature.size, len(self.labels))

    def loss(self, outputs: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        import torch
        from torch.nn.functional import ctc_loss as torch_ctc_loss

        steps = torch.full((len(outputs),), outputs.shape[1], dtype=torch.long)
        return torch_ctc_loss(
            outputs.log_softmax(-1).transpose(0, 1),
            targets.clamp(0, len(self.labels)),
            steps,
            (targets >= 0).sum(1),
            blank=BLANK,
            zero_infinity=True,
        )

    def activate(self, outputs: "torch.Tensor") -> "torch.Tensor":
        return outputs.softmax(-1)

    def serving_head(self, head: "nn.Module") -> "nn.Module":
        from torch import nn

        return nn.Sequential(head, nn.Softmax(dim=-1))

    def metrics(self, outputs: Any, targets: Any) -> dict[str, Any]:
        """Word and character error rate over all rows, word accuracy (1 - WER), the share of rows
        that are right as a whole, and the mean CTC loss in nats a character."""
        found, wanted = self.texts(outputs), self._wanted(targets)
        words = [edit_distance(f.split(), w.split()) for f, w in zip(found, wanted, strict=True)]
        letters = [edit_distance(f, w) for f, w in zip(found, wanted, strict=True)]
        wer = sum(words) / max(1, sum(len(text.split()) for text in wanted))
        return {
            "word_accuracy": float(1 - wer),
            "wer": float(wer),
            "cer": float(sum(letters) / max(1, sum(map(len, wanted)))),
            "exact": float(np.mean([f == w for f, w in zip(found, wanted, strict=True)])),
            "loss": ctc_loss(outputs, np.minimum(targets, len(self.labels))),
        }

    def scores(self, outputs: Any, targets: Any) -> Any:
        """Each row's part of the word accuracy: their mean is that of all rows."""
        found, wanted = self.texts(outputs), self._wanted(targets)
        mean = np.mean([len(text.split()) for text in wanted])
        errors = [edit_distance(f.split(), w.split()) for f, w in zip(found, wanted, strict=True)]
        return 1 - np.array(errors) / max(mean, 1e-9)

    def majority(self, targets: Any, rows: int) -> Any:
        """The transcript that occurs most, or silence where that has fewer wrong words, for every
        row."""
        wanted = self._wanted(targets)
        (text, _), *_ = Counter(wanted).most_common(1)
        wrong, words = (
            sum(edit_distance(said.split(), one.split()) for one in wanted) for said in (text, "")
        )
        said = text if wrong < words else ""
        return np.repeat(one_hot(self.targets([said]), 1 + len(self.labels)), rows, 0)

    def simple_baseline(self, seed: int) -> Any:
        """The transcript of the training row whose MFCCs are nearest."""
        from regraft_speech.baseline import NearestTranscript

        return NearestTranscript(1 + len(self.labels))

    def texts(self, outputs: Any) -> list[str]:
        """The likeliest symbol of each step, repetitions and blanks left out."""
        return ["".join(self.labels[n - 1] for n in collapse(row)) for row in outputs.argmax(-1)]

    def _wanted(self, targets: Any) -> list[str]:
        known = ("", *self.labels, "\ufffd")
        return ["".join(known[number] for number in row if number >= 0) for row in targets]

    def response_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("text", "BYTES", ("batch",)), TensorSpec("score", "FP32", ("batch",)))

    def decode(self, outputs: Any) -> dict[str, Any]:
        """The text, and the mean probability of its steps that are no blank."""
        texts = np.empty(len(outputs), object)
        texts[:] = [text.encode() for text in self.texts(outputs)]
        spoken = outputs.argmax(-1) != BLANK
        best = outputs.max(-1) * spoken
        return {
            "text": texts,
            "score": (best.sum(1) / np.maximum(spoken.sum(1), 1)).astype(np.float32),
        }

    def answers(self, tensors: Any) -> list[dict[str, Any]]:
        return [
            {"text": text.decode(), "score": float(score)}
            for text, score in zip(tensors["text"], tensors["score"], strict=True)
        ]
