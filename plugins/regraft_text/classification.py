"""Text classification: one label for each text."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np

from regraft import (
    Classification,
    Columns,
    InvalidInputError,
    TensorSpec,
    TextInputs,
    TooLargeError,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PIECE = 250
"""Characters that are decomposed at a time: one can become eighteen (Unicode, UAX 15)."""


class TextClassification(Classification):
    """A label for a text, from a pooled feature of a text encoder."""

    name = "text-classification"
    modality = "text"
    summary = "One of 2 to 1,000 labels for each text"
    inputs_type = TextInputs
    columns = Columns(
        input=("text", "sentence", "review", "content", "message", "tweet", "comment", "title"),
        label=("label", "class", "category", "sentiment", "target", "intent", "y"),
    )
    largest_batch = 16_000
    inputs: TextInputs

    @classmethod
    def check(cls, value: Any) -> str | None:
        longest = cls.longest_text
        if len(value) > longest:
            return f"the text has {len(value):,} characters; at most {longest:,} are taken"
        if not value.isascii() and _grows(value, longest):
            return (
                f"the text has more than {longest:,} characters once it is decomposed "
                "(NFKC), as some tokenizers do; at most so many are taken"
            )
        return None

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer, truncating to the longest length and padding to the longest in a batch.

        A stored tokenizer may pad everything to a fixed length (MiniLM's does, to 128).
        """
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_buffer(self.inputs.tokenizer)
        padding = tokenizer.padding or {}
        tokenizer.enable_truncation(self.inputs.max_length)
        tokenizer.enable_padding(
            pad_id=padding.get("pad_id", 0),
            pad_type_id=padding.get("pad_type_id", 0),
            pad_token=padding.get("pad_token", "[PAD]"),
        )
        return tokenizer

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        # As data sets are: what is served may be composed otherwise.
        encodings = self.tokenizer.encode_batch_fast([normalize("NFC", row) for row in rows])
        arrays = {
            "input_ids": np.array([e.ids for e in encodings], dtype=np.int64),
            "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),
        }
        return {tensor.name: arrays[tensor.name] for tensor in self.inputs.tensors}

    def size(self, row: Any) -> int:
        return len(row)

    def simple_baseline(self, seed: int) -> Any:
        """TF-IDF of word 1-2-grams and character 1-4-grams, then logistic regression."""
        from regraft_text.baseline import tfidf_logistic_regression

        return tfidf_logistic_regression(seed)

    def request_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("text", "BYTES", ("batch",)),)

    def rows(self, tensors: Any) -> list[Any]:
        texts = [_text(item) for item in tensors["text"].reshape(-1)]
        for text in texts:
            problem = self.check(text)
            if problem is not None:
                raise TooLargeError(problem)
        return texts


def _grows(text: str, longest: int) -> bool:
    """Whether its compatibility composition is longer than this; looked at no further."""
    found = 0
    for start in range(0, len(text), PIECE):
        found += len(normalize("NFKC", text[start : start + PIECE]))
        if found > longest:
            return True
    return False


def _text(item: bytes) -> str:
    try:
        return item.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("The tensor 'text' holds bytes that are not UTF-8.") from error
