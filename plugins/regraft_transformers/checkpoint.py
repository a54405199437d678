"""A folder with a Transformers checkpoint: its configuration, its weights, its hash.

The configuration is read as plain JSON, so that torch is loaded only for the model itself.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from regraft import InvalidInputError


@dataclass(frozen=True)
class Checkpoint:
    """`random` leaves the model untrained, always with the same weights."""

    folder: Path
    random: bool

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.json("config.json")

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object of the folder; empty if there is no such file."""
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            found = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"{path} is no JSON: {error}") from error
        return found if isinstance(found, dict) else {}

    @property
    def kind(self) -> str:
        return str(self.config.get("model_type"))

    def count(self, *names: str) -> int:
        """The first of these numbers that the configuration has."""
        for name in names:
            if isinstance(self.config.get(name), int):
                return int(self.config[name])
        raise InvalidInputError(
            f"{self.folder} holds a '{self.kind}' model without {' or '.join(names)} in its "
            "config.json: it is no encoder that can be used."
        )

    def weights(self) -> list[Path]:
        """The weight files; safetensors only, since other formats run code when they are read."""
        found = sorted(self.folder.glob("*.safetensors"))
        if not found:
            raise InvalidInputError(
                f"{self.folder} has no .safetensors weights. Convert the checkpoint: "
                "AutoModel.from_pretrained(…).save_pretrained(FOLDER)."
            )
        return found

    def digest(self, *more: bytes) -> str:
        """SHA-256 of configuration, weights and `more`."""
        digest = hashlib.sha256(b"random" if self.random else b"trained")
        for path in [self.folder / "config.json", *self.weights()]:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        for part in more:
            digest.update(part)
        return digest.hexdigest()

    def model(self, **changes: Any) -> Any:
        """The Transformers model, its configuration changed so; code in the checkpoint is never
        run. InvalidInputError if it cannot be loaded."""
        from safetensors import SafetensorError

        self.weights()
        try:
            return self._model(changes)
        except (OSError, ValueError, SafetensorError) as error:
            raise InvalidInputError(f"{self.folder} cannot be loaded: {error}") from error

    def _model(self, changes: dict[str, Any]) -> Any:
        import torch
        from transformers import AutoConfig, AutoModel
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        config = AutoConfig.from_pretrained(self.folder, trust_remote_code=False, **changes)
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
