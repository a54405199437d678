"""Keras models on the torch backend, and modules that give the outputs of their layers."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regraft import InvalidInputError

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601, by which Pillow makes grey of colour."""
MERGING = ("Add", "Concatenate", "Average", "Maximum")
ENDING = (*MERGING, "Activation", "ReLU", "MaxPooling2D", "AveragePooling2D", "Dense")
STATISTICS = ("BatchNormalization",)
POOLING = ("GlobalAveragePooling2D", "GlobalMaxPooling2D")


def load(path: Path, random: bool) -> Any:
    """The model of a file that was checked to hold no code; `random` draws its weights anew."""
    if keras.backend.backend() != "torch":
        raise InvalidInputError(
            f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=torch."
        )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
            return _untrained(model) if random else model
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise InvalidInputError(f"{path} cannot be opened by Keras: {error}") from error


def _untrained(model: Any) -> Any:
    keras.utils.set_random_seed(0)
    return model.__class__.from_config(model.get_config())


def ends(model: Any) -> dict[str, tuple[Any, ...]]:
    """The shapes of the layers where a backbone can end, by name, the last first.

    Where branches meet if that happens twice or more, and the last that activates or pools; else
    all that do. Layers at the end that classify are left out.
    """
    layers = _body(model.layers)
    found = {
        layer.name: tuple(layer.output.shape)
        for layer in layers
        if _kind(layer) in ENDING and len(layer.output.shape) in (2, 4)
    }
    merging = {layer.name for layer in layers if _kind(layer) in MERGING}
    last = [*found][-1:]
    kept = found
    if len(merging & found.keys()) > 1:
        kept = {name: shape for name, shape in found.items() if name in merging or name in last}
    if layers and _kind(layers[-1]) in POOLING:
        kept[layers[-1].name] = tuple(layers[-1].output.shape)
    if not kept:
        raise InvalidInputError(
            "The Keras model has no layer where a backbone could end: its layers are "
            f"{', '.join(_kind(layer) for layer in model.layers)}."
        )
    return dict(reversed(kept.items()))


def _body(layers: list[Any]) -> list[Any]:
    """The layers without those that make classes of what they say."""
    body = list(layers)
    if _kind(body[-1]) == "Softmax" or (_kind(body[-1]) == "Activation" and _classifies(body[-1])):
        body.pop()
    if body and _kind(body[-1]) == "Dense":
        body.pop()
    return body


def _classifies(layer: Any) -> bool:
    function = getattr(layer, "activation", None)
    return getattr(function, "__name__", "") in ("softmax", "sigmoid")


def _all(model: Any) -> list[Any]:
    """Its layers, with those of the models within."""
    return [*model._flatten_layers(include_self=False)]


def _kind(layer: Any) -> str:
    return str(type(layer).__name__)


class KerasLayers(nn.Module):
    """Pixels [B, H, W, 3] of 0 to 255 in, a tensor for each layer out: a map [B, C, H', W'] if it
    is wanted as one, its mean [B, C], or the vector."""

    mean: Tensor
    deviation: Tensor
    luma: Tensor

    def __init__(self, model: Any, names: list[str], maps: list[bool], scale: Any) -> None:
        super().__init__()
        outputs = [model.get_layer(name).output for name in names]
        self.inner = keras.Model(model.inputs, outputs)
        self.maps = maps
        self.keeps_statistics = any(_kind(layer) in STATISTICS for layer in _all(self.inner))
        """Whether it has batch norms, which take theirs as they are in training too."""
        self.grey = model.input_shape[-1] == 1
        for name, values in zip(("mean", "deviation", "luma"), (*scale, LUMA), strict=True):
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, pixels: Tensor) -> Any:
        scaled = (pixels.to(self.mean.dtype) - self.mean) / self.deviation
        if self.grey:
            scaled = (scaled * self.luma).sum(-1, keepdim=True)
        given = self.inner(scaled, training=False)
        several = given if isinstance(given, list | tuple) else [given]
        found = tuple(
            _ending(tensor, whole) for tensor, whole in zip(several, self.maps, strict=True)
        )
        return found if len(found) > 1 else found[0]


def _ending(tensor: Tensor, whole: bool) -> Tensor:
    if tensor.ndim != 4:
        return tensor
    return tensor.permute(0, 3, 1, 2) if whole else tensor.mean((1, 2))
