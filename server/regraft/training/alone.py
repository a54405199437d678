"""Training in this process, without Ray: for what is small, or tried beside other work."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regraft.domain import JSON
from regraft.training.build import Ingredients
from regraft.training.clock import Clock

if TYPE_CHECKING:
    from regraft.model import TargetModel
    from regraft.training.checkpoints import Checkpoints
    from regraft.training.loop import Outcome

Parts = dict[str, tuple[Any, ...]]
"""Rows and targets of `train` and `validation`; those of `train` are followed by rows without
labels."""


def train_alone(
    ingredients: Ingredients,
    place: "tuple[TargetModel, Checkpoints]",
    parts: Parts,
    clock: Clock,
    cancelled: Callable[[], bool] = lambda: False,
    report: Callable[[str, JSON], None] = lambda kind, data: None,
) -> "Outcome":
    """How training ended that model; its best epoch is in those checkpoints."""
    from regraft.training.loop import Loop, Part, Surroundings

    def heard(kind: str, data: JSON) -> None:
        clock.heard(kind, data)
        report(kind, data)

    around = Surroundings(report=heard, cancelled=cancelled, expired=clock.expired)
    model, checkpoints = place
    loop = Loop(model, ingredients.task, ingredients.strategy, checkpoints, around)
    return loop.run(Part(*parts["train"]), Part(*parts["validation"]))
