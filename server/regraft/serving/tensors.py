"""Tensors of the Open Inference Protocol: its data types, as JSON and as little-endian bytes."""

from collections.abc import Callable, Sequence
from itertools import chain, islice
from math import isfinite, prod
from typing import Any

import numpy as np
import orjson

from regraft.contract import Array, Arrays, TensorSpec
from regraft.errors import InvalidInputError, TooLargeError

MAX_AXES = 32
MOST_ITEMS = 2**16
"""Elements of a BYTES tensor, each of which is an object, however short it is."""
MAX_ELEMENTS = 2**40
MOST_NAMES = 10
"""Of wrong tensors that an error tells."""
PIECE = 2**15
"""Elements that are read or written at once: meanwhile no other thread has its turn."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class BadRequestError(InvalidInputError):
    """A request that does not follow the protocol."""

    status = 400


def quoted(name: str) -> str:
    """A name from a request, fit for a message: escaped, and at most 60 characters of it."""
    return repr(name if len(name) <= 60 else f"{name[:59]}…")


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's type; strings, and objects that hold them, are BYTES."""
    if array.dtype.kind in "OSU":
        return "BYTES"
    known = _NAMES.get(array.dtype) or _NAMES.get(array.dtype.newbyteorder("="))
    if known is None:
        raise TypeError(f"No data type of the protocol is a {array.dtype} array.")
    return known


def from_json(name: str, datatype: str, shape: Any, data: Any) -> Array:
    """The tensor of this `shape` whose elements `data` lists, nested likewise or flat in row order.

    BYTES are given as strings and become an object array of UTF-8 `bytes`; null is a float that is
    not a number. Raises BadRequestError for any other type, a value out of range, or a count that
    is not the shape's.
    """
    dtype, axes = dtype_named(name, datatype), _axes(name, shape)
    flat = _flatten(name, axes, data)
    return _CONVERSIONS[dtype.kind](name, dtype, flat).reshape(axes)


def from_values(name: str, datatype: str, shape: Any, values: Any) -> Array:
    """The same of a sequence in row order, piece by piece: it need not be a list. Its floats may be
    what JSON has no words for, as in binary data."""
    dtype, axes = dtype_named(name, datatype), _axes(name, shape)
    if len(values) != prod(axes):
        raise _mismatch(name, f"{prod(axes)} elements", len(values))
    array, convert = np.empty(len(values), dtype), _CONVERSIONS[dtype.kind]
    for n in range(0, len(values), PIECE):
        piece = values[n : n + PIECE]
        array[n : n + PIECE] = piece if dtype.kind == "f" else convert(name, dtype, piece)
    return array.reshape(axes)


def from_binary(name: str, datatype: str, shape: Any, raw: memoryview) -> Array:
    """The tensor of this `shape` whose little-endian bytes are exactly `raw`, as a copy.

    BOOL is a byte of 0 or 1; of BYTES each element is a length (u32), then that many bytes, and
    the result is an object array of `bytes`. Raises BadRequestError where `raw` does not fit.
    """
    dtype, axes = dtype_named(name, datatype), _axes(name, shape)
    if dtype.kind == "O":
        return _objects(_split(name, prod(axes), raw)).reshape(axes)
    expected = prod(axes) * dtype.itemsize
    if expected != len(raw):
        raise _mismatch(name, f"{expected} bytes", len(raw))
    array = np.frombuffer(raw, np.uint8 if dtype.kind == "b" else dtype.newbyteorder("<"))
    if dtype.kind == "b" and array.max(initial=0) > 1:
        raise BadRequestError(f"Tensor {quoted(name)}: every byte of a BOOL must be 0 or 1.")
    return array.astype(dtype).reshape(axes)


def to_json(array: Array) -> list[Any]:
    """The elements in row order, ready for JSON; floats that are not finite become None.

    JSON has no NaN, strict parsers refuse it, and numpy reads null back as NaN, so that is what
    clients get. Raises BadRequestError for BYTES that are not UTF-8.
    """
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind in "OSU":
        return [_text(value) for value in values]
    if array.dtype.kind == "f" and not isfinite(sum(values)):
        return [value if isfinite(value) else None for value in values]
    return values


def for_orjson(array: Array) -> Any:
    """What `to_json` says, of which much is written already: piece by piece."""
    if array.size <= PIECE:
        return to_json(array)
    flat, starts = array.ravel(), range(0, array.size, PIECE)
    written = b",".join(orjson.dumps(to_json(flat[n : n + PIECE]))[1:-1] for n in starts)
    return orjson.Fragment(b"[%b]" % written)


def to_binary(array: Array) -> bytes:
    """The elements in row order as little-endian bytes, the inverse of `from_binary`."""
    if array.dtype.kind in "OSU":
        items = [_bytes(value) for value in array.ravel().tolist()]
        return b"".join(part for item in items for part in (len(item).to_bytes(4, "little"), item))
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def check_items(name: str, count: int) -> None:
    """TooLargeError where no tensor of BYTES may have so many elements."""
    if count > MOST_ITEMS:
        raise TooLargeError(
            f"Tensor {quoted(name)} has {count:,} elements: of BYTES at most {MOST_ITEMS:,} go."
        )


def dtype_named(name: str, datatype: str) -> np.dtype[Any]:
    """numpy's type of a tensor; BadRequestError where the protocol knows none of this name."""
    try:
        return DTYPES[datatype]
    except KeyError:
        raise BadRequestError(
            f"Tensor {quoted(name)}: unknown datatype {quoted(datatype)}."
            f" Known: {', '.join(DTYPES)}."
        ) from None


def _axes(name: str, shape: Any) -> tuple[int, ...]:
    if type(shape) not in (list, tuple) or any(type(axis) is not int for axis in shape):
        raise BadRequestError(f"Tensor {quoted(name)}: 'shape' must be a list of integers.")
    if len(shape) > MAX_AXES:
        raise BadRequestError(
            f"Tensor {quoted(name)}: a shape has at most {MAX_AXES} axes, not {len(shape)}."
        )
    if any(axis < 0 for axis in shape):
        raise BadRequestError(f"Tensor {quoted(name)}: no axis of 'shape' may be negative.")
    # Empty axes do not count: numpy refuses the rest of the shape even where nothing is stored.
    if prod(axis or 1 for axis in shape) > MAX_ELEMENTS:
        raise BadRequestError(
            f"Tensor {quoted(name)}: its shape is of more than {MAX_ELEMENTS} elements."
        )
    return tuple(shape)


def _flatten(name: str, axes: tuple[int, ...], data: Any) -> list[Any]:
    if type(data) is not list:
        raise BadRequestError(f"Tensor {quoted(name)}: 'data' must be a list.")
    if not data or type(data[0]) is not list:
        if len(data) != prod(axes):
            raise _mismatch(name, f"{prod(axes)} elements", len(data))
        return data
    level = [data]
    for number, axis in enumerate(axes):
        if any(type(row) is not list or len(row) != axis for row in level):
            raise BadRequestError(
                f"Tensor {quoted(name)}: 'data' is nested, but not as its shape says:"
                f" axis {number} must be lists of {axis}."
            )
        level = list(chain.from_iterable(level))
    return level


def _mismatch(name: str, expected: str, given: int) -> BadRequestError:
    return BadRequestError(f"Tensor {quoted(name)}: its shape needs {expected}, not {given}.")


def _refuse_others(name: str, flat: list[Any], allowed: set[type], words: str) -> None:
    if not allowed.issuperset(map(type, flat)):
        raise BadRequestError(f"Tensor {quoted(name)}: every element must be {words}.")


def _out_of_range(name: str, dtype: np.dtype[Any]) -> BadRequestError:
    info = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return BadRequestError(
        f"Tensor {quoted(name)}: every element of {_NAMES[dtype]} must be"
        f" from {info.min} to {info.max}."
    )


def _booleans(name: str, dtype: np.dtype[Any], flat: list[Any]) -> Array:
    _refuse_others(name, flat, {bool}, "true or false")
    return np.array(flat, dtype)


def _integers(name: str, dtype: np.dtype[Any], flat: list[Any]) -> Array:
    _refuse_others(name, flat, {int}, "an integer")
    try:
        return np.array(flat, dtype)
    except OverflowError:
        raise _out_of_range(name, dtype) from None


def _floats(name: str, dtype: np.dtype[Any], flat: list[Any]) -> Array:
    _refuse_others(name, flat, {int, float, type(None)}, "a number, or null for none")
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype)
    except OverflowError:
        raise _out_of_range(name, dtype) from None
    if np.isinf(array).any():
        raise _out_of_range(name, dtype)
    return array


def _strings(name: str, dtype: np.dtype[Any], flat: list[Any]) -> Array:
    _refuse_others(name, flat, {str}, "a string; other bytes go as binary data")
    return _objects([text.encode() for text in flat])


_CONVERSIONS: dict[str, Callable[[str, np.dtype[Any], list[Any]], Array]] = {
    "b": _booleans,
    "i": _integers,
    "u": _integers,
    "f": _floats,
    "O": _strings,
}


def _objects(items: list[bytes]) -> Array:
    array = np.empty(len(items), np.object_)
    array[:] = items
    return array


def _split(name: str, count: int, raw: memoryview) -> list[bytes]:
    if 4 * count > len(raw):
        raise _mismatch(name, f"at least {4 * count} bytes", len(raw))
    check_items(name, count)
    items = []
    start = 0
    for _ in range(count):
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        if end > len(raw):
            raise _mismatch(name, f"at least {end} bytes", len(raw))
        items.append(bytes(raw[start + 4 : end]))
        start = end
    if start != len(raw):
        raise _mismatch(name, f"{start} bytes", len(raw))
    return items


def _text(value: Any) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise BadRequestError(
            "An output holds bytes that are not UTF-8: ask for it with 'binary_data': true."
        ) from None


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(
        f"An element of a BYTES tensor must be bytes or str, not {type(value).__name__}."
    )


def check_tensors(alternatives: Sequence[Sequence[TensorSpec]], given: Arrays) -> None:
    """The request must carry exactly the tensors of one alternative, with one row at least."""
    by_names = {tuple(sorted(spec.name for spec in specs)): specs for specs in alternatives}
    expected = by_names.get(tuple(sorted(given)))
    if expected is None:
        wanted = " or ".join(", ".join(map(quoted, names)) for names in by_names)
        found = ", ".join(map(quoted, islice(given, MOST_NAMES)))
        found += ", …" if len(given) > MOST_NAMES else ""
        raise BadRequestError(f"Expected input tensors: {wanted}. The request has: {found}.")
    for spec in expected:
        _check_tensor(spec, given[spec.name])


def _check_tensor(spec: TensorSpec, array: Array) -> None:
    if datatype_of(array) != spec.datatype:
        raise BadRequestError(
            f"Input '{spec.name}' must be {spec.datatype}, not {datatype_of(array)}."
        )
    if array.size == 0:
        raise BadRequestError(f"Input '{spec.name}' has no rows.")
    squeezed = array.shape[:1] if len(spec.shape) == 1 and array.ndim == 2 else array.shape
    fits = len(squeezed) == len(spec.shape) and all(
        isinstance(axis, str) or axis == size
        for axis, size in zip(spec.shape, squeezed, strict=True)
    )
    if not fits or (squeezed != array.shape and array.shape[1] != 1):
        wanted = [-1 if isinstance(axis, str) else axis for axis in spec.shape]
        raise BadRequestError(
            f"Input '{spec.name}' must have the shape {wanted}, not {list(array.shape)}."
        )
