"""What a path holds, found without Keras or TensorFlow; and what a Keras file would run if read."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regraft import InvalidInputError

SUFFIXES = (".keras", ".h5", ".hdf5")
LARGEST = 64 * 2**20
"""Bytes of an architecture; a Keras model of a thousand layers has one of less than a megabyte."""
RUNS_CODE = frozenset(
    {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"}
)
"""Layers that hold code of their own, or that load a file which may."""


def is_keras_file(target: str) -> bool:
    return Path(target).suffix.lower() in SUFFIXES


def is_saved_model(target: str) -> bool:
    try:
        return (Path(target).expanduser() / "saved_model.pb").is_file()
    except (OSError, RuntimeError):
        return False


def check_file(path: Path) -> None:
    """InvalidInputError for a file without an architecture, or with layers that would run code."""
    for part in _parts(_config(path)):
        name, module = part.get("class_name"), part.get("module")
        foreign = module is not None and str(module).split(".")[0] != "keras"
        if name in RUNS_CODE or foreign:
            what = f"'{name}'" + (f" of '{module}'" if foreign else "")
            raise InvalidInputError(
                f"{path} holds a layer {what}, which would run code of its own: it is not opened."
            )


def _config(path: Path) -> Any:
    try:
        if path.suffix.lower() == ".keras":
            with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
                return _loaded(file.read(LARGEST + 1))
        return _loaded(_attribute(path))
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise InvalidInputError(
            f"{path} is no Keras model with its architecture ({error}). Save it with "
            "model.save('FILE.keras'); weights alone cannot be opened."
        ) from error


def _loaded(config: str | bytes) -> Any:
    if len(config) > LARGEST:
        raise ValueError(f"its architecture is larger than {LARGEST:,} bytes")
    return json.loads(config)


def _attribute(path: Path) -> str:
    import h5py

    with h5py.File(path, "r") as file:
        found = file.attrs["model_config"]
        return found.decode() if isinstance(found, bytes) else str(found)


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialised object within."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _parts(value)
    if isinstance(config, list):
        for value in config:
            yield from _parts(value)
