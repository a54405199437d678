"""Large answers are made beside the event loop, small ones on it."""

import asyncio
import json
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from regraft.contract import Arrays
from regraft.serving.aside import LARGE
from regraft.serving.building import ELEMENT, ROWS, built, readable
from regraft.serving.protocol import InferRequest, RequestedOutput

MOST = LARGE // ELEMENT


class Task:
    labels = ("good", "bad")
    asked_in: threading.Thread

    def answers(self, tensors: Arrays) -> list[dict[str, Any]]:
        self.asked_in = threading.current_thread()
        return [{"mask": row.tolist()} for row in tensors["mask"]]


def predictor() -> Any:
    return SimpleNamespace(name="m", version=3, task=Task())


def masks(rows: int, elements: int) -> Arrays:
    return {"mask": (np.arange(elements) % 3).astype(np.uint8).reshape(rows, -1)}


def aside(asked: InferRequest, tensors: Arrays) -> bool:
    """Whether a response is built in another thread."""

    def where(name: str, version: int, asked: InferRequest, outputs: Sequence[Any]) -> Any:
        return threading.current_thread()

    return asyncio.run(built(where, predictor(), asked, tensors)) is not threading.main_thread()


@pytest.mark.parametrize(
    ("outputs", "binary", "most"),
    [
        (None, False, MOST),
        (None, True, LARGE),
        ((RequestedOutput("mask"),), True, LARGE),
        ((RequestedOutput("mask", True),), False, LARGE),
        ((RequestedOutput("mask", False),), True, MOST),
    ],
)
def test_what_is_large_depends_on_the_form(outputs: Any, binary: bool, most: int) -> None:
    asked = InferRequest("", {}, {}, outputs, binary)
    assert not aside(asked, masks(1, most))
    assert aside(asked, masks(1, most + 1))


@pytest.mark.parametrize("rows", [1, ROWS, ROWS + 1, 3 * ROWS])
def test_the_records_of_any_number_of_rows_are_one_json(rows: int) -> None:
    body = asyncio.run(readable(predictor(), "seven", masks(rows, 2 * rows)))
    told = [{"mask": row} for row in masks(rows, 2 * rows)["mask"].tolist()]
    whole = {"model": "m", "version": "3", "id": "seven", "predictions": told}
    assert body == json.dumps(whole, separators=(",", ":")).encode()


def test_many_records_are_made_beside_the_loop() -> None:
    for elements, there in ((MOST, True), (2 * MOST, False)):
        model = predictor()
        asyncio.run(readable(model, "seven", masks(2, elements)))
        assert (model.task.asked_in is threading.main_thread()) is there
