"""State dicts from files that cannot run code."""

import pickle  # noqa: TID251 - for the name of what torch raises, not to read anything
from pathlib import Path
from typing import Any

from regraft import InvalidInputError

UNPICKLING = pickle.UnpicklingError


def read_state(path: Path) -> dict[str, Any]:
    """Tensors by name, from safetensors, or from a .pt or .pth file as far as torch reads it with
    `weights_only`; InvalidInputError otherwise."""
    if path.suffix == ".safetensors":
        return _safetensors(path)
    import torch

    try:
        # `weights_only` runs no code.
        found = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except (UNPICKLING, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InvalidInputError(
            f"{path} cannot be read without running code of its own. Save the state dict with "
            "safetensors.torch.save_file."
        ) from error
    nested = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(nested, dict) or not all(torch.is_tensor(v) for v in nested.values()):
        raise InvalidInputError(f"{path} holds no state dict: names and tensors are expected.")
    return nested


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise InvalidInputError(f"{path} is a damaged safetensors file: {error}.") from error
