"""A Transformers text encoder as a source model: masked means of its hidden layers.

The default feature is the mean of the last four layers (Garbas et al. 2024), which is worth two
points over the last layer on few labels; each layer alone can be asked for by its name.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft import Feature, InvalidInputError, SourceModel, TensorSpec, TextInputs
from regraft_transformers.catalogue import CATALOGUE

if TYPE_CHECKING:
    from torch import nn

LONGEST = 512
INPUTS = tuple(
    TensorSpec(name, "INT64", ("batch", "length")) for name in ("input_ids", "attention_mask")
)


class TextEncoder(SourceModel):
    """Reads its configuration as plain JSON, so that torch is loaded only for `module`."""

    modality = "text"

    def __init__(self, reference: str, folder: Path, random: bool) -> None:
        self.name = reference
        self.folder = folder
        self.random = random
        self.config = json.loads((folder / "config.json").read_text("utf-8"))
        layers = self.config.get("num_hidden_layers") or self.config.get("n_layers")
        size = self.config.get("hidden_size") or self.config.get("dim")
        if not (isinstance(layers, int) and isinstance(size, int)):
            raise InvalidInputError(
                f"{folder} holds a '{self.config.get('model_type')}' model without a count of "
                "hidden layers and a hidden size; a text encoder such as BERT is expected."
            )
        names = [f"last-{min(4, layers)}", *(f"layer-{n}" for n in range(layers, 0, -1))]
        self.layers = layers
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
        found = [self._number(file, key) for file, key in asked]
        return min([LONGEST, *(int(number) for number in found if number)])

    def _number(self, file: str, key: str) -> float | None:
        path = self.folder / file
        value = json.loads(path.read_text("utf-8")).get(key) if path.is_file() else None
        return value if isinstance(value, int | float) else None

    def fingerprint(self) -> str:
        digest = hashlib.sha256(b"random" if self.random else b"trained")
        for path in [self.folder / "config.json", *self._weights()]:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(self.inputs.tokenizer)
        digest.update(str(self.inputs.max_length).encode())
        return digest.hexdigest()

    def _weights(self) -> list[Path]:
        """The weight files; safetensors only, since other formats run code when they are read."""
        found = sorted(self.folder.glob("*.safetensors"))
        if not found:
            raise InvalidInputError(
                f"{self.folder} has no .safetensors weights. Convert the checkpoint: "
                "AutoModel.from_pretrained(…).save_pretrained(FOLDER)."
            )
        return found

    def module(self, feature: Feature) -> "nn.Module":
        from safetensors import SafetensorError

        from regraft_transformers.pooling import MeanOfLayers

        self._weights()
        try:
            encoder = self._encoder()
        except (OSError, ValueError, SafetensorError) as error:
            raise InvalidInputError(f"{self.folder} cannot be loaded: {error}") from error
        kind, number = feature.name.split("-")
        first = self.layers - int(number) + 1 if kind == "last" else int(number)
        last = self.layers if kind == "last" else int(number)
        return MeanOfLayers(encoder, first, last)

    def _encoder(self) -> Any:
        """The Transformers model; code in the checkpoint is never run."""
        import torch
        from transformers import AutoConfig, AutoModel
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        config = AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
        if self.random:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return AutoModel.from_config(config, trust_remote_code=False)
        return AutoModel.from_pretrained(
            self.folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
        )

    def details(self) -> dict[str, Any]:
        known = CATALOGUE.get(self.name.split("?")[0])
        described = (
            {"licence": known.descriptor.licence, "origin": known.descriptor.origin}
            if known
            else {"licence": "see its model card", "origin": str(self.folder)}
        )
        return {
            **described,
            "architecture": self.config.get("model_type"),
            "max_length": self.inputs.max_length,
        }
