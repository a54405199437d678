"""Answers that are kept, for requests that are asked again."""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from regraft.contract import Arrays
from regraft.serving.predictor import Predictor

ENTRY = 500
"""Bytes that an answer takes beside its values."""


class Answers:
    """The answers that were used last, of `most` bytes together. A request is known by a digest of
    its rows and by the version that answers, so that none answers for another."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0
        self.kept: OrderedDict[bytes, Arrays] = OrderedDict()

    def key(self, predictor: Predictor, rows: Sequence[Any]) -> bytes | None:
        """By which an answer is kept; None where none is, as of rows that no digest tells apart."""
        if not self.most:
            return None
        digest = blake2b(f"{predictor.name} {predictor.version}".encode(), digest_size=16)
        for row in rows:
            content = _content(row)
            if content is None:
                return None
            digest.update(len(content).to_bytes(8, "big") + content)
        return digest.digest()

    def get(self, key: bytes) -> Arrays | None:
        if key not in self.kept:
            return None
        self.kept.move_to_end(key)
        return self.kept[key]

    def put(self, key: bytes, tensors: Arrays) -> None:
        if key in self.kept:
            return
        self.kept[key] = tensors
        self.bytes += size(tensors)
        while self.bytes > self.most:
            _, gone = self.kept.popitem(last=False)
            self.bytes -= size(gone)


def size(tensors: Arrays) -> int:
    """Bytes that an answer takes, about."""
    texts = (text for array in tensors.values() if array.dtype == object for text in array.flat)
    return ENTRY + sum(array.nbytes for array in tensors.values()) + sum(map(len, texts))


def _content(row: Any) -> bytes | None:
    """All that a row is, if it is a text, a file or a record of plain values."""
    if isinstance(row, str):
        return b"t" + row.encode("utf-8", "surrogatepass")
    if isinstance(row, bytes):
        return b"f" + row
    if isinstance(row, Mapping):
        try:
            return b"r" + json.dumps(row, sort_keys=True).encode()
        except (TypeError, ValueError):
            return None
    return None
