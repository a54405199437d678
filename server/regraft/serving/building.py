"""Answers as they go out: made on the event loop where they are small, and beside it where not."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from regraft.contract import Arrays
from regraft.serving.aside import aside
from regraft.serving.predictor import Predictor
from regraft.serving.protocol import InferRequest, Output, choose_outputs, is_binary

T = TypeVar("T")
ELEMENT = 8
"""Bytes that an element counts for where it is written as text, whatever it takes as a number."""
ROWS = 8
"""That are encoded at once: meanwhile no other thread has its turn."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


async def built(
    build: Callable[[str, int, InferRequest, Sequence[Output]], T],
    predictor: Predictor,
    asked: InferRequest,
    tensors: Arrays,
) -> T:
    """The response that `build` makes of the outputs that the request wants to know."""

    def call() -> T:
        outputs = choose_outputs(asked, tensors, predictor.task.labels)
        return build(predictor.name, predictor.version, asked, outputs)

    return await aside(_copied(tensors) if _all_binary(asked) else _written(tensors), call)


async def readable(predictor: Predictor, identifier: str, tensors: Arrays) -> bytes:
    """A record a row for people, as JSON."""
    return await aside(_written(tensors), partial(_readable, predictor, identifier, tensors))


def _readable(predictor: Predictor, identifier: str, tensors: Arrays) -> bytes:
    """The first rows with all else, and the others after them, as many at a time."""
    rows = predictor.task.answers(tensors)
    first = _ENCODER.encode(
        {
            "model": predictor.name,
            "version": str(predictor.version),
            "id": identifier,
            "predictions": rows[:ROWS],
        }
    )
    others = (_ENCODER.encode(rows[n : n + ROWS]) for n in range(ROWS, len(rows), ROWS))
    return f"{first[:-2]}{''.join(f',{more[1:-1]}' for more in others)}]}}".encode()


def _all_binary(asked: InferRequest) -> bool:
    """Classes are told as text in either form."""
    if asked.outputs is None:
        return asked.binary_output
    return all(is_binary(asked, one) and not one.classification for one in asked.outputs)


def _copied(tensors: Arrays) -> int:
    return sum(array.nbytes for array in tensors.values())


def _written(tensors: Arrays) -> int:
    return ELEMENT * sum(array.size for array in tensors.values())
