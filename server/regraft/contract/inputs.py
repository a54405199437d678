"""What a source model takes: named tensors, and what a task must know to make them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Mapping[str, Array]

FREE_AXIS = 64
DTYPES = {"INT64": np.int64, "INT32": np.int32, "FP32": np.float32, "UINT8": np.uint8}


@dataclass(frozen=True)
class TensorSpec:
    """A named tensor: its Open Inference Protocol data type and its shape.

    A string in the shape names an axis of variable length.
    """

    name: str
    datatype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Inputs:
    """What a source model takes, as far as a task must know it to encode rows.

    Every field travels with the published version: `bytes` as a file, the rest as JSON.
    """

    tensors: tuple[TensorSpec, ...]

    def example(self, batch: int, length: int) -> dict[str, Array]:
        """Rows that mean nothing but that a model must take, nothing of them padded; other axes of
        free length have 64 places. For exports, to warm up, and for checks."""
        sizes = {"batch": batch, "length": length}
        return {
            spec.name: _made_up(spec, [sizes.get(str(axis), axis) for axis in spec.shape])
            for spec in self.tensors
        }


@dataclass(frozen=True)
class TextInputs(Inputs):
    """Token ids: `tokenizer` is a `tokenizer.json` of the tokenizers library; lengths in tokens."""

    tokenizer: bytes
    max_length: int


@dataclass(frozen=True)
class ImageInputs(Inputs):
    """RGB pixels of 0 to 255, [height, width, 3] an image: the shorter side is first brought to
    `resize` pixels, then the centre is cut out; or with `squash` the whole image is brought to that
    height and width. What else a model wants is inside its graph."""

    height: int
    width: int
    resize: int
    squash: bool = False


@dataclass(frozen=True)
class AudioInputs(Inputs):
    """One channel of sound: `samples` [batch, length] from -1 to 1, of which `lengths` [batch] are
    real. `rate` is in hertz; a row is filled up to `shortest` and cut at `longest` seconds."""

    rate: int
    shortest: float
    longest: float

    def example(self, batch: int, length: int) -> dict[str, Array]:
        """Noise; `length` is in tenths of a second."""
        samples = round(self.rate * min(max(length / 10, self.shortest), self.longest))
        noise = np.random.default_rng([batch, length]).uniform(-1, 1, (batch, samples))
        lengths = np.full(batch, samples, np.int64)
        return {"samples": noise.astype(np.float32), "lengths": lengths}


def _made_up(spec: TensorSpec, axes: Sequence[int | str]) -> Array:
    shape = [FREE_AXIS if isinstance(axis, str) else axis for axis in axes]
    dtype, rng = DTYPES[spec.datatype], np.random.default_rng(shape)
    if spec.name.endswith("mask"):
        return np.ones(shape, dtype)
    if spec.datatype == "FP32":
        return rng.uniform(-1, 1, shape).astype(dtype)
    if spec.datatype == "UINT8":
        return rng.integers(0, 256, shape).astype(dtype)
    return np.zeros(shape, dtype)
