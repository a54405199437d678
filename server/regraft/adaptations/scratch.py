"""The baseline from scratch: the same architecture on the same rows, from random weights."""

import time
from dataclasses import replace

from regraft.adaptations.learning import Learnt
from regraft.adaptations.request import with_options
from regraft.adaptations.training import Limits, here, on_ray, train
from regraft.adaptations.trial import answers
from regraft.adaptations.work import Work
from regraft.contract import Feature, TransferStrategy
from regraft.errors import UnsupportedError
from regraft.evaluation.report import Judged, judge
from regraft.reference import untrained

STRATEGY = "scratch"
BACKWARD = 2
"""A backward pass costs about as much as two forward ones."""


def scratch_baseline(work: Work, learnt: Learnt) -> Judged:
    """Trained within the adaptation's own time so far; RegraftError says why there is none."""
    if not work.context.settings.scratch_seconds:
        raise UnsupportedError("the setting scratch_seconds is 0")
    strategy = _strategy(work)
    elsewhere = _untrained(work)
    given = _time(work)
    if learnt.module is None:
        _check_time(work, learnt, strategy, given)
    run = here if learnt.module is None else on_ray
    limits = Limits(time.time() + given[0], whole=True, stage="scratch")
    trained = train(elsewhere, strategy, _ends(elsewhere, learnt), run, limits)
    with work.context.stage("scratch"):
        head = work.task.serving_head(trained.model.head)
        outputs = answers(work, trained, head, work.data.test)
    return judge(work.task, outputs, work.task.targets(work.data.test.labels))


def _strategy(work: Work) -> TransferStrategy:
    kind = work.context.plugins.strategy(STRATEGY)
    return with_options(kind, {}, work.request.spec.seed)


def _time(work: Work) -> tuple[float, str]:
    """The seconds that it gets, and what bounds them."""
    context = work.context
    bounds = [
        (sum(context.seconds.values()), "the adaptation has taken"),
        (context.settings.scratch_seconds, "the setting scratch_seconds allows"),
    ]
    if context.deadline is not None:
        bounds.append((max(0.0, context.deadline - time.time()), "the budget leaves"))
    return min(bounds)


def _ends(work: Work, learnt: Learnt) -> Feature:
    """Where the architecture ends: for joined features where it does by default."""
    request = work.request
    if request.strategy.fuses_features:
        return request.source.feature(work.task.form)
    return learnt.feature


def _untrained(work: Work) -> Work:
    """The same work with random weights; UnsupportedError where they cannot be had."""
    request = work.request
    if not request.source.pretrained:
        raise UnsupportedError("the source model has no pretrained weights")
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


def _check_time(
    work: Work, learnt: Learnt, strategy: TransferStrategy, given: tuple[float, str]
) -> None:
    """Raise UnsupportedError if forward passes alone show that it would take longer."""
    plan, rows = strategy.plan(), work.data.train.inputs
    size = plan.batch(len(rows))
    steps = max(plan.least_steps, plan.epochs * -(-len(rows) // size))
    batch = work.task.encode([rows[i] for i in range(size)])
    backbone = work.open(learnt.backbone)
    backbone.features(batch)
    start = time.perf_counter()
    backbone.features(batch)
    least = steps * (1 + BACKWARD) * (time.perf_counter() - start)
    seconds, whose = given
    if least > seconds:
        raise UnsupportedError(f"it would take {least:.1f} s or more, and {whose} {seconds:.1f} s")
