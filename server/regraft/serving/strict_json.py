"""JSON from strangers: one meaning or none, and no input that costs more than its size."""

import json
from collections import Counter
from math import isfinite
from typing import Any

import numpy as np

from regraft.errors import TooLargeError
from regraft.serving.tensors import BadRequestError, quoted

MAX_DEPTH = 64
MAX_KEYS, MAX_VALUES = 200_000, 2**20
"""Parsing holds the interpreter: so many take a tenth of a second at most."""
MOST_DIGITS = 2**17
"""In a row: more than a text may have, and need not be parsed to be refused."""
WIDEST = 12
"""Bytes that one character can take: two escapes, of a pair of surrogates."""

_STRUCTURE = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{},:'))
_NO_BRACKETS = b",:"
_PLAIN = np.array([byte < 128 and chr(byte).isalnum() for byte in range(256)])


def loads(body: bytes, limit: int, longest: int | None = None) -> Any:
    """The one JSON value that `body` is, in UTF-8.

    Raises TooLargeError over `limit` bytes, 2·10⁵ keys or 2²⁰ values, or for a string of far more
    than `longest` characters (others are left to the caller), and BadRequestError for NaN,
    infinities, numbers that overflow to them, integers of more digits than Python converts (4300),
    repeated keys, lone surrogates, nesting over 64 levels, or anything that is not JSON.
    """
    if len(body) > limit:
        raise TooLargeError(f"The JSON has {len(body)} bytes; the limit is {limit}.")
    _refuse_long(body, longest)
    _refuse_deep(body)
    value = _decode(_as_text(body))
    # One byte is found ten times as quickly as two are, and most bodies have no backslash.
    if b"\\" in body and (b"\\ud" in body or b"\\uD" in body):
        _refuse_lone_surrogates(value)
    return value


def _as_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadRequestError(f"The JSON is not UTF-8: see byte {error.start}.") from None


def _decode(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadRequestError(f"Not JSON: {error.msg}, at character {error.pos}.") from None
    except BadRequestError:
        raise
    except ValueError:
        raise BadRequestError("The JSON has an integer of too many digits.") from None


def _refuse_long(body: bytes, longest: int | None) -> None:
    """Any stretch of twice a size has a block of that size, found without looking at every byte."""
    for start in range(0, len(body) - MOST_DIGITS, MOST_DIGITS):
        if body[start : start + MOST_DIGITS].isdigit():
            raise BadRequestError(f"The JSON has more than {MOST_DIGITS:,} digits in a row.")
    if longest is None:
        return
    size = WIDEST * longest + 2
    for start in range(0, len(body) - size, size):
        if body.find(b'"', start, start + size) < 0:
            raise TooLargeError(f"A text may have at most {longest:,} characters.")


def _has_more(body: bytes, byte: bytes, most: int) -> bool:
    """Whether a byte is there more than so many times; numpy lets other threads go on."""
    if len(body) <= most:
        return False
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord(byte))) > most


def _keys_at_least(body: bytes) -> int:
    """How many strings that end with a letter or a digit are followed by a colon at once: no other
    quote comes after one, and those within strings come after a backslash."""
    found = np.frombuffer(body, np.uint8)
    ends = (found[1:-1] == ord('"')) & (found[2:] == ord(":"))
    return int(np.count_nonzero(ends & _PLAIN[found[:-2]]))


def _too_many_keys() -> TooLargeError:
    return TooLargeError(f"The JSON has more than {MAX_KEYS:,} keys.")


def _refuse_deep(body: bytes) -> None:
    # The parser recurses, and holds the interpreter, so depth and count are known before it starts.
    keys, values = _has_more(body, b":", MAX_KEYS), _has_more(body, b",", MAX_VALUES)
    if not (keys or values or body.count(b"[") + body.count(b"{") > MAX_DEPTH):
        return
    if keys and _keys_at_least(body) > MAX_KEYS:
        raise _too_many_keys()
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    structure = unescaped.translate(_STRUCTURE, _NO_STRUCTURE)
    outside = b"".join(structure.split(b'"')[::2])
    if outside.count(b":") > MAX_KEYS:
        raise _too_many_keys()
    if outside.count(b",") > MAX_VALUES:
        raise TooLargeError(f"The JSON has more than {MAX_VALUES:,} values.")
    brackets = np.frombuffer(outside.translate(None, _NO_BRACKETS), np.int8)
    # "[" is one below the mean of the pair and "]" one above.
    if np.cumsum(92 - brackets, dtype=np.int32).max(initial=0) > MAX_DEPTH:
        raise BadRequestError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRequestError("A string of the JSON has half of a surrogate pair.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise BadRequestError(f"The JSON repeats the key {quoted(repeated)}.")
    return record


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise BadRequestError("The JSON has a number beyond the range of a 64-bit float.")
    return number


def _refuse_constant(name: str) -> Any:
    raise BadRequestError(f"The JSON has {name}, which is not a JSON value.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
)
