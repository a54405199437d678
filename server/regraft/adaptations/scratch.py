"""The baseline from scratch: the same architecture on the same rows, from random weights."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from regraft.adaptations.learning import Learnt
from regraft.adaptations.request import with_options
from regraft.adaptations.work import Work, recipe
from regraft.arrays import joined_rows
from regraft.contract import Array, TransferStrategy
from regraft.domain import Examples
from regraft.errors import UnsupportedError
from regraft.evaluation.report import Judged, judge
from regraft.reference import untrained
from regraft.training.clock import Clock
from regraft.training.outcomes import validated

if TYPE_CHECKING:
    from regraft.model import TargetModel

STRATEGY = "scratch"
BATCH = 32
BACKWARD = 2
"""A backward pass costs about as much as two forward ones."""


def scratch_baseline(work: Work, learnt: Learnt) -> Judged:
    """Trained within the adaptation's own time so far; RegraftError says why there is none."""
    most = work.context.settings.scratch_seconds
    if not most:
        raise UnsupportedError("the setting scratch_seconds is 0")
    seconds = min(sum(work.context.seconds.values()), most, _left(work))
    strategy = _strategy(work)
    elsewhere = _untrained(work)
    if learnt.module is None:
        _check_time(work, learnt, strategy, seconds)
        model = _train_here(elsewhere, learnt, strategy, seconds)
    else:
        model = _train_on_ray(elsewhere, learnt, strategy, seconds)
    with work.context.stage("scratch"):
        outputs = _outputs(model, work, work.data.test)
    return judge(work.task, outputs, work.task.targets(work.data.test.labels))


def _strategy(work: Work) -> TransferStrategy:
    kind = work.context.plugins.strategy(STRATEGY)
    return with_options(kind, {}, work.request.spec.seed)


def _left(work: Work) -> float:
    """What is left of the budget."""
    deadline = work.context.deadline
    return float("inf") if deadline is None else max(0.0, deadline - time.time())


def _untrained(work: Work) -> Work:
    """The same work with random weights; UnsupportedError where they cannot be had."""
    request = work.request
    if not request.pretrained:
        raise UnsupportedError("the source model itself has random weights")
    if not request.source.trainable:
        raise UnsupportedError("the source model is a graph: no module could be trained")
    if request.own is not None:
        raise UnsupportedError("nothing was trained, so that no time was spent that scratch gets")
    reference = untrained(request.spec.source)
    source = work.context.plugins.open_source(reference)
    spec = request.spec.model_copy(update={"source": reference})
    return replace(work, request=replace(request, spec=spec, source=source), known={})


def _check_time(work: Work, learnt: Learnt, strategy: TransferStrategy, seconds: float) -> None:
    """Raise UnsupportedError if forward passes alone show that it would take longer."""
    plan, rows = strategy.plan(), work.data.train.inputs
    steps = max(plan.least_steps, plan.epochs * -(-len(rows) // plan.batch_size))
    batch = work.task.encode([rows[i] for i in range(min(plan.batch_size, len(rows)))])
    backbone = work.open(learnt.backbone)
    backbone.features(batch)
    start = time.perf_counter()
    backbone.features(batch)
    least = steps * (1 + BACKWARD) * (time.perf_counter() - start)
    if least > seconds:
        raise UnsupportedError(
            f"it would take {least:.0f} s or more, and the adaptation took {seconds:.0f} s"
        )


def _train_here(
    work: Work, learnt: Learnt, strategy: TransferStrategy, seconds: float
) -> "TargetModel":
    import torch

    from regraft.training.alone import train_alone

    context = work.context
    ingredients = recipe(work, strategy, learnt.feature).open(context.plugins)
    clock = Clock(time.time() + seconds, whole=True)
    before = torch.get_num_threads()
    torch.set_num_threads(work.threads)
    try:
        with context.stage("scratch"):
            model, outcome = train_alone(ingredients, work.parts(), clock, context.cancelled)
    finally:
        torch.set_num_threads(before)
    validated(vars(outcome), whole=True)
    return model


def _train_on_ray(
    work: Work, learnt: Learnt, strategy: TransferStrategy, seconds: float
) -> "TargetModel":
    from regraft.adaptations.ray_training import Limits, train

    limits = Limits(time.time() + seconds, whole=True, stage="scratch")
    return train(work, strategy, learnt.feature, limits).model


def _outputs(model: "TargetModel", work: Work, part: Examples) -> Array:
    """By torch: nobody will serve it."""
    from regraft.export.parity import torch_outputs

    head = work.task.serving_head(model.head)
    answer = torch_outputs(model.backbone, head, work.task)
    order = np.argsort([work.task.size(row) for row in part.inputs], kind="stable")
    chunks = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    found = joined_rows([answer([part.inputs[int(i)] for i in chunk]) for chunk in chunks])
    ordered = np.empty_like(found)
    ordered[order] = found
    return ordered
