"""Training in this process, without Ray: for what is small, or tried beside other work."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft.domain import JSON
from regraft.training.build import Ingredients
from regraft.training.clock import Clock

if TYPE_CHECKING:
    from regraft.model import TargetModel
    from regraft.training.loop import Outcome

Parts = dict[str, tuple[Any, ...]]
"""Rows and targets of `train` and `validation`; those of `train` may be followed by rows without
labels."""


def train_alone(
    ingredients: Ingredients,
    parts: Parts,
    clock: Clock,
    cancelled: Callable[[], bool] = lambda: False,
    report: Callable[[str, JSON], None] = lambda kind, data: None,
) -> "tuple[TargetModel, Outcome]":
    """The finished model of the best epoch, and how training ended; a model that was never
    validated is as it began."""
    from regraft.training.checkpoints import Checkpoints
    from regraft.training.loop import Loop, Part, Surroundings

    def heard(kind: str, data: JSON) -> None:
        clock.heard(kind, data)
        report(kind, data)

    around = Surroundings(report=heard, cancelled=cancelled, expired=clock.expired)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), "alone")
        model = ingredients.model()
        loop = Loop(model, ingredients.task, ingredients.strategy, checkpoints, around)
        outcome = loop.run(Part(*parts["train"]), Part(*parts["validation"]))
        if checkpoints.best() is not None:
            checkpoints.load_best(model)
    return ingredients.strategy.finish(model), outcome
