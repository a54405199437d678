"""Reads a model file of CTranslate2: named arrays, nothing that could run.

Format (CTranslate2, `python/ctranslate2/specs/model_spec.py`, version 6), little-endian: version,
name and revision of the specification, then a count of variables, each with name, rank, shape,
type, size and data. A name is a length of 16 bits and so many bytes, the last of them 0.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from regraft import InvalidInputError

VERSIONS = (4, 5, 6)
TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
MOST_VARIABLES = 10_000


def read_variables(path: Path) -> tuple[str, dict[str, Any]]:
    """The name of the specification, such as WhisperSpec, and every array by its name.

    Raises InvalidInputError for a file that is damaged, quantised to a type without a number here,
    or of another version.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            (version,) = _numbers(file, "I")
            if version not in VERSIONS:
                raise InvalidInputError(f"{path} is no CTranslate2 model of version 4 to 6.")
            specification = _name(file)
            _numbers(file, "I")
            return specification, dict(_variables(file, size))
        except (struct.error, IndexError, ValueError) as error:
            raise InvalidInputError(f"{path} is a damaged CTranslate2 model: {error}.") from error


def _variables(file: BinaryIO, most: int) -> Iterator[tuple[str, Any]]:
    (count,) = _numbers(file, "I")
    if count > MOST_VARIABLES:
        raise ValueError(f"it declares {count} variables")
    for _ in range(count):
        name = _name(file)
        (rank,) = _numbers(file, "B")
        shape = _numbers(file, f"{rank}I")
        kind, size = _numbers(file, "B")[0], _numbers(file, "I")[0]
        dtype = np.dtype(TYPES[kind])
        if size != math.prod(shape) * dtype.itemsize or size > most:
            raise ValueError(f"'{name}' declares {size} bytes for the shape {list(shape)}")
        yield name, np.frombuffer(file.read(size), dtype).reshape(shape)


def _numbers(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    layout = f"<{layout}"
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _name(file: BinaryIO) -> str:
    (length,) = _numbers(file, "H")
    return file.read(length)[:-1].decode()
