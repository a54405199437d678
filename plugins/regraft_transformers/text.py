"""A Transformers text encoder as a source model: masked means of its hidden layers.

The default feature is the mean of the last four layers (Garbas et al. 2024), which is worth two
points over the last layer on few labels; each layer alone can be asked for by its name.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft import Feature, InvalidInputError, SourceModel, TensorSpec, TextInputs
from regraft_transformers.catalogue import described
from regraft_transformers.checkpoint import Checkpoint

if TYPE_CHECKING:
    from torch import nn

LONGEST = 512
INPUTS = tuple(
    TensorSpec(name, "INT64", ("batch", "length")) for name in ("input_ids", "attention_mask")
)


class TextEncoder(SourceModel):
    """An encoder such as BERT, with the tokenizer of its folder."""

    modality = "text"

    def __init__(self, reference: str, folder: Path, random: bool) -> None:
        self.name = reference
        self.folder = folder
        self.checkpoint = Checkpoint(folder, random)
        self.layers = self.checkpoint.count("num_hidden_layers", "n_layers")
        size = self.checkpoint.count("hidden_size", "dim")
        names = [
            f"last-{min(4, self.layers)}",
            *(f"layer-{n}" for n in range(self.layers, 0, -1)),
        ]
        self.features = tuple(Feature(name, "pooled", size) for name in names)

    @cached_property
    def inputs(self) -> TextInputs:  # type: ignore[override]
        return TextInputs(INPUTS, self._tokenizer(), self._max_length())

    def _tokenizer(self) -> bytes:
        path = self.folder / "tokenizer.json"
        if path.is_file():
            return path.read_bytes()
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
        files = [self.folder / name for name in tokenizer.vocab_files_names.values()]
        if not (tokenizer.is_fast and any(file.is_file() for file in files)):
            raise InvalidInputError(f"{self.folder} has no tokenizer.json and no fast tokenizer.")
        return str(tokenizer.backend_tokenizer.to_str()).encode()

    def _max_length(self) -> int:
        """The least of what the sentence encoder, its tokenizer and its positions allow."""
        asked = (
            ("sentence_bert_config.json", "max_seq_length"),
            ("tokenizer_config.json", "model_max_length"),
            ("config.json", "max_position_embeddings"),
        )
        found = [self.checkpoint.json(file).get(key) for file, key in asked]
        numbers = [int(value) for value in found if isinstance(value, int | float) and value]
        return min([LONGEST, *numbers])

    def fingerprint(self) -> str:
        more = (self.inputs.tokenizer, str(self.inputs.max_length).encode())
        return self.checkpoint.digest(*more)

    def module(self, feature: Feature) -> "nn.Module":
        from regraft_transformers.pooling import MeanOfLayers

        kind, number = feature.name.split("-")
        first = self.layers - int(number) + 1 if kind == "last" else int(number)
        last = self.layers if kind == "last" else int(number)
        # Layers above the last are left out: they would be trained for nothing.
        key = "num_hidden_layers" if "num_hidden_layers" in self.checkpoint.config else "n_layers"
        return MeanOfLayers(self.checkpoint.model(**{key: last}), first, last)

    def details(self) -> dict[str, Any]:
        return {
            **described(self.name, self.folder),
            "architecture": self.checkpoint.kind,
            "max_length": self.inputs.max_length,
        }
