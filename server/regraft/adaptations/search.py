"""`--strategy auto`: several strategies are tried, and the best on validation is taken."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from regraft.adaptations.budget import OF_BEGINNING, within_budget
from regraft.adaptations.candidates import candidates
from regraft.adaptations.choice import Choice, choose_feature
from regraft.adaptations.context import Context
from regraft.adaptations.learning import Learnt, export_trained, learn_frozen
from regraft.adaptations.refit import refit
from regraft.adaptations.request import by, check_request
from regraft.adaptations.training import Limits, Trained, here, kept, on_ray, train_in
from regraft.adaptations.trial import answers, head_of_trained, try_out
from regraft.adaptations.work import Work
from regraft.contract import Array, Task, TransferStrategy
from regraft.domain import JSON, Adaptation, AdaptationSpec, DataSet
from regraft.errors import CancelledRunError, RunFailedError
from regraft.evaluation.calibration import calibrated_losses, measured
from regraft.plugins import Plugins
from regraft.registry.patience import patiently
from regraft.registry.store import Registry
from regraft.serving.sessions import available_cpus
from regraft.settings import Settings

ASK_SECONDS = 1.0
MANY = 32
"""Labelled rows a class from which on more than a head is well learnt (Tunstall et al. 2022)."""


@dataclass(frozen=True)
class Found:
    """The work with the strategy that was taken, what it learnt, and all that were tried."""

    work: Work
    learnt: Learnt
    tried: list[JSON]


@dataclass(frozen=True)
class Scored:
    """What a strategy reached on the validation part, and what that took."""

    strategy: TransferStrategy
    score: float | None
    loss: float | None
    seconds: float
    epochs: int = 0
    reason: str | None = None
    margin: float = 0.0
    """By how much its loss must be the least, to be taken."""


def find(work: Work) -> Found:
    """Try the closed forms here and the others under Ray Tune; learn by the best."""
    directory = work.context.registry.home.run(work.context.adaptation.id)
    choice = choose_feature(work)
    wanted = candidates(work.request, work.data, work.context.plugins)
    closed = [one for one in wanted if one.freezes_backbone]
    if closed:
        work = within_budget(work, choice.feature, OF_BEGINNING)
    trained = [one for one in wanted if not one.freezes_backbone]
    known = {one.name: _closed(_with(work, one), choice) for one in closed}
    known |= {one.strategy.name: one for one in _searched(work, choice, trained, directory)}
    scored = [known[one.name] for one in wanted]
    best = choose(scored)
    chosen = _with(work, best.strategy)
    learnt = _learnt(chosen, choice, directory, best.seconds)
    whole = best.strategy.fits_head or learnt.fair is not None
    rows = [{**_row(one, best), "all_labels": whole and one is best} for one in scored]
    return Found(chosen, learnt, rows)


def _with(work: Work, strategy: TransferStrategy) -> Work:
    """The work as if the user had asked for this strategy."""
    spec = by(work.request.spec, strategy.name)
    return replace(work, request=replace(work.request, spec=spec, strategy=strategy))


def _row(one: Scored, best: Scored) -> JSON:
    return {
        "strategy": one.strategy.name,
        "score": one.score,
        "loss": one.loss,
        "margin": one.margin,
        "seconds": one.seconds,
        "epochs": one.epochs,
        "reason": one.reason,
        "taken": one is best,
    }


def choose(scored: Sequence[Scored]) -> Scored:
    """The one with the least loss on the validation part, once calibrated: of few rows it tells
    more than the score, which counts a row as right or wrong. By more than its margin, where it has
    one."""
    usable = [one for one in scored if one.score is not None]
    if not usable:
        reasons = "; ".join(f"{one.strategy.name}: {one.reason}" for one in scored)
        raise RunFailedError(f"No strategy came to an end. {reasons}")
    return min(usable, key=_compared)


def _compared(one: Scored) -> float:
    return one.loss + one.margin if one.loss is not None and isfinite(one.loss) else inf


def margin(task: Task, rows: int, outputs: Array, targets: Array) -> float:
    """Of a head alone that learnt from so many rows, by what it says of the validation part: the
    standard error of its loss where labels are many. There a backbone that learns too is nearly
    always better, and the few rows that judge must say the contrary for sure."""
    if rows < MANY * max(1, len(task.labels)) or not task.calibrates:
        return 0.0
    losses = calibrated_losses(outputs, targets)
    return float(losses.std() / np.sqrt(len(losses)))


Told = tuple[float, float, float]
"""A score, the loss, and the loss once calibrated."""


def _score(task: Task, outputs: Array, targets: Array) -> Told:
    return _told(task, measured(task, outputs, targets))


def _told(task: Task, metrics: JSON) -> Told:
    loss: float = metrics["loss"]
    calibrated: float = metrics.get("calibrated_loss", loss)
    return metrics[task.primary], loss, calibrated


def _closed(work: Work, choice: Choice) -> Scored:
    part = work.data.validation
    trial = try_out(work, choice.feature, {"validation": part})
    outputs, targets = trial.outputs["validation"], work.task.targets(part.labels)
    score, _, loss = _score(work.task, outputs, targets)
    apart = margin(work.task, len(work.data.train), outputs, targets)
    return Scored(work.request.strategy, score, loss, trial.seconds, margin=apart)


def _learnt(work: Work, choice: Choice, directory: Path, seconds: float) -> Learnt:
    """What the chosen strategy learnt in so many seconds, in the end from the validation part too,
    exported where that is not the source's own backbone."""
    strategy, feature = work.request.strategy, choice.feature
    if strategy.freezes_backbone:
        return learn_frozen(work, choice)
    trained = train_in(directory, work, (strategy, feature), kept, Limits())
    final = refit(work, feature, trained, on_ray, directory / "all", seconds)
    learnt = export_trained(work, choice, final)
    if final is trained:
        return learnt
    with work.context.stage("features"):
        head, part = head_of_trained(work, trained), work.data.validation
        return replace(learnt, fair=answers(work, trained, head, part))


@dataclass(frozen=True)
class Parcel:
    """What a trial needs in a process of its own; rows are encoded as in the adaptation's, also
    where a budget has left fewer of them."""

    adaptation: Adaptation
    spec: AdaptationSpec
    data: DataSet
    inputs: Any
    labels: Sequence[str]
    settings: Settings
    feature: str
    directory: Path
    deadline: float | None


def _searched(
    work: Work, choice: Choice, strategies: Sequence[TransferStrategy], directory: Path
) -> list[Scored]:
    if not strategies:
        return []
    import ray

    from regraft.training.cluster import TRAIN, role
    from regraft.training.search import Search, search

    context = work.context
    threads = max(1, available_cpus() // len(strategies))
    settings = context.settings.model_copy(update={"threads": threads})
    known = (work.data, work.task.inputs, work.task.labels)
    given = (context.adaptation, work.request.spec, *known, settings, choice.feature.name)
    parcel = ray.put(Parcel(*given, directory, context.deadline))
    gpu = bool(ray.cluster_resources().get("GPU")) and context.settings.use_gpu is not False
    with context.stage("search"):
        results = search(
            Search(
                [one.name for one in strategies],
                partial(_trial, parcel),
                context.cancelled,
                context.cancel,
                directory,
                threads,
                gpu,
                context.deadline is not None,
                role(TRAIN, context.settings),
            )
        )
    context.check_cancelled()
    return [
        Scored(strategy, found.score, found.loss, found.seconds, found.epochs, found.reason)
        for strategy, found in zip(strategies, results, strict=True)
    ]


def _trial(parcel: Any, name: str, tell: Callable[[float, float, float], None]) -> None:
    """Train by this strategy in a process of Tune's; the best epoch stays in the directory."""
    import ray

    given: Parcel = ray.get(parcel)
    registry = Registry.of(given.settings)
    cancelled = partial(registry.runs.cancel_requested, given.adaptation.id)
    asked = _asked_now_and_then(partial(patiently, cancelled), ASK_SECONDS)
    context = Context(
        given.adaptation, registry, Plugins.load(), given.settings, stop=asked, recorded=False
    )
    request = check_request(by(given.spec, name), context.plugins)
    work = Work(request, given.data, request.task(given.inputs, given.labels), context)
    feature = request.source.feature(work.task.form, given.feature)

    told: list[JSON] = []

    def say(metrics: JSON) -> None:
        told.append(metrics)
        tell(*_told(work.task, metrics))

    def epoch(kind: str, data: JSON) -> None:
        if kind == "epoch" and not request.strategy.refits_head:
            say(data["validation"])

    run = partial(here, report=epoch)
    what, limits = (request.strategy, feature), Limits(given.deadline)
    # A trial that was told to stop has nothing to complain of.
    with contextlib.suppress(CancelledRunError):
        trained = train_in(given.directory, work, what, run, limits)
        if request.strategy.refits_head:
            tell(*_refitted(work, trained))
        elif trained.metrics not in told:  # It was the best before this process began.
            say(trained.metrics)


def _asked_now_and_then(ask: Callable[[], bool], seconds: float) -> Callable[[], bool]:
    """The answer of `ask`, which is called at most so often."""
    last, answer = 0.0, False

    def asked() -> bool:
        nonlocal last, answer
        if time.monotonic() - last > seconds:
            last, answer = time.monotonic(), ask()
        return answer

    return asked


def _refitted(work: Work, trained: Trained) -> Told:
    part = work.data.validation
    outputs = answers(work, trained, head_of_trained(work, trained), part)
    return _score(work.task, outputs, work.task.targets(part.labels))
