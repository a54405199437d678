"""Checkpoints under our own manifest: complete or absent, without pickle."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from regraft.domain import JSON
from regraft.registry.blobs import write_atomically


@dataclass(frozen=True)
class Checkpoint:
    """An epoch, counted from 0, and its metrics on the validation part."""

    epoch: int
    metrics: JSON


class Checkpoints:
    """The last and the best epoch of a run.

    Each attempt writes into a directory of its own; `manifest.json` names the files that are
    complete and is replaced as a whole, so that a writer that dies spoils nothing.
    """

    def __init__(self, directory: Path, attempt: str) -> None:
        self.directory = directory
        self.attempt = attempt

    def save(
        self, now: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer, best: bool
    ) -> None:
        manifest = self._manifest()
        folder = Path(self.attempt) / f"epoch-{now.epoch}"
        (self.directory / folder).mkdir(parents=True, exist_ok=True)
        _write(self.directory / folder / "model.safetensors", _weights(model))
        _write(self.directory / folder / "optimizer.safetensors", _flatten(optimizer.state_dict()))
        entry = {**asdict(now), "folder": str(folder)}
        manifest = {"last": entry, "best": entry if best else manifest["best"]}
        write_atomically(self.directory / "manifest.json", json.dumps(manifest).encode())
        self._forget_others({manifest["last"]["folder"], manifest["best"]["folder"]})

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Checkpoint | None:
        """Put the last checkpoint into the model and the optimizer."""
        entry = self._manifest().get("last")
        if entry is None:
            return None
        folder = self.directory / entry["folder"]
        model.load_state_dict(load_file(folder / "model.safetensors"))
        _restore(optimizer, load_file(folder / "optimizer.safetensors"))
        return Checkpoint(entry["epoch"], entry["metrics"])

    def best(self) -> Checkpoint | None:
        entry = self._manifest().get("best")
        return entry and Checkpoint(entry["epoch"], entry["metrics"])

    def load_best(self, model: nn.Module) -> Checkpoint:
        """Put the weights of the best epoch into the model."""
        entry = self._manifest()["best"]
        model.load_state_dict(load_file(self.directory / entry["folder"] / "model.safetensors"))
        return Checkpoint(entry["epoch"], entry["metrics"])

    def _manifest(self) -> dict[str, Any]:
        path = self.directory / "manifest.json"
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
        return found

    def _forget_others(self, kept: set[str]) -> None:
        for folder in self.directory.glob("*/epoch-*"):
            if str(folder.relative_to(self.directory)) not in kept:
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()


def save_weights(path: Path, model: nn.Module) -> None:
    """The weights of a model as one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, _weights(model))


def _write(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    partial = path.with_suffix(".part")
    save_file(tensors, partial)
    partial.rename(path)


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copies, since safetensors refuses tensors that share memory."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _flatten(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """AdamW's state is a few tensors a parameter; its rates come from the plan."""
    return {
        f"{index}.{name}": torch.as_tensor(value).cpu().clone()
        for index, values in state["state"].items()
        for name, value in values.items()
    }


def _restore(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
