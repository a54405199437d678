"""A trial: what a strategy makes of the training rows, asked in this process and never exported."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from regraft.adaptations.choice import Choice
from regraft.adaptations.learning import (
    fitted_on_all,
    head_of,
    learn_frozen,
    say,
    with_all_labels,
)
from regraft.adaptations.training import Limits, Runner, Trained, here, train
from regraft.adaptations.work import Work
from regraft.contract import Array, Feature, LinearHead
from regraft.domain import Examples
from regraft.features import TorchBackbone, compute_features

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """Outputs of each part that was asked for, and what they took: seconds of learning, of the
    clock and of this process's processors, parameters that learnt, and parameters in all."""

    outputs: dict[str, Array]
    seconds: float
    processor_seconds: float
    learnt: int
    parameters: int


def try_out(
    work: Work,
    feature: Feature,
    parts: dict[str, Examples],
    run: Runner = here,
    limits: Limits | None = None,
) -> Trial:
    """By the request's strategy, which ends the backbone at this feature. The validation part is
    answered by what was not fitted on it."""
    if work.request.strategy.freezes_backbone:
        return _frozen(work, feature, parts)
    taken = stopwatch()
    trained = train(work, work.request.strategy, feature, run, limits)
    head = final = head_of_trained(work, trained)
    if work.request.strategy.refits_head:
        final = fitted_on_all(work, partial(_features, work, trained))
    seconds = taken()
    outputs = {
        name: answers(work, trained, _fair(work, part, head, final), part)
        for name, part in parts.items()
    }
    total = sum(p.numel() for p in trained.model.parameters())
    return Trial(outputs, *seconds, trained.parameters, total)


def stopwatch() -> Callable[[], tuple[float, float]]:
    """Tells the seconds since, of the clock and of this process's processors."""
    clock, processor = time.perf_counter(), time.process_time()
    return lambda: (time.perf_counter() - clock, time.process_time() - processor)


def _frozen(work: Work, feature: Feature, parts: dict[str, Examples]) -> Trial:
    taken = stopwatch()
    learnt = learn_frozen(work, Choice(feature))
    final = with_all_labels(work, learnt)
    seconds = taken()
    outputs = {
        name: say(_fair(work, part, learnt.head, final.head), learnt.features(work, part))
        for name, part in parts.items()
    }
    return Trial(outputs, *seconds, learnt.parameters, learnt.backbone.size // 4)


def _fair(work: Work, part: Examples, first: T, final: T) -> T:
    """What answers a part: for the validation part it is what was not fitted on it."""
    return first if part is work.data.validation else final


def head_of_trained(work: Work, trained: Trained) -> "LinearHead | nn.Module":
    """The head as it would be served."""
    return head_of(work, trained.model, lambda: _features(work, trained, work.data.train))


def answers(work: Work, trained: Trained, head: "LinearHead | nn.Module", part: Examples) -> Array:
    """What a trained model says of these rows, by torch."""
    return say(head, _features(work, trained, part))


def _features(work: Work, trained: Trained, part: Examples) -> Array:
    (found,) = compute_features(TorchBackbone(trained.model.backbone), work.task, part.inputs)
    return found
