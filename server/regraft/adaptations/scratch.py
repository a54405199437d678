"""The baseline from scratch: the same architecture on the same rows, from random weights."""

import time
from dataclasses import replace

from regraft.adaptations.learning import Learnt
from regraft.adaptations.request import with_options
from regraft.adaptations.training import Limits, here, on_ray, train
from regraft.adaptations.trial import answers
from regraft.adaptations.work import Work
from regraft.contract import TransferStrategy
from regraft.errors import UnsupportedError
from regraft.evaluation.report import Judged, judge
from regraft.reference import untrained

STRATEGY = "scratch"
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
    run = here if learnt.module is None else on_ray
    limits = Limits(time.time() + seconds, whole=True, stage="scratch")
    trained = train(elsewhere, strategy, learnt.feature, run, limits)
    with work.context.stage("scratch"):
        head = work.task.serving_head(trained.model.head)
        outputs = answers(work, trained, head, work.data.test)
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
