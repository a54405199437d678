"""Training, with what a strategy begins with first: by Ray Train, or in this process."""

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from regraft.adaptations.request import earlier
from regraft.adaptations.work import Work, fitted, frozen_features, recipe
from regraft.contract import Feature, LinearHead, TransferStrategy
from regraft.domain import JSON
from regraft.errors import NoTimeError, UnsupportedError
from regraft.features import TorchBackbone, compute_features
from regraft.plugins import Plugins
from regraft.threads import torch_threads
from regraft.training.build import Ingredients, Recipe
from regraft.training.clock import Clock
from regraft.training.outcomes import validated

if TYPE_CHECKING:
    from regraft.model import TargetModel
    from regraft.training.checkpoints import Checkpoints


@dataclass(frozen=True)
class Limits:
    """When training ends, as `time.time` tells it, whether it fails where it is not through, and
    as which stage its time counts. `epochs` is after how many of the plan it is through already."""

    deadline: float | None = None
    whole: bool = False
    stage: str = "train"
    epochs: int | None = None


@dataclass(frozen=True)
class Trained:
    """A finished model, how many of its parameters learnt, after how many epochs it was the best,
    and its metrics on the validation part then; `earlier` are those of the model that it came
    after, where that was trained."""

    recipe: Recipe
    model: "TargetModel"
    parameters: int
    epochs: int
    metrics: JSON
    earlier: JSON | None = None


Wanted = tuple[TransferStrategy, Feature]
Report = Callable[[str, JSON], None]
Runner = Callable[[Work, Recipe, Path, Limits], Trained]
"""Trains a recipe; the folder is its own. The model is that of the best epoch, finished."""


def _nothing(kind: str, data: JSON) -> None:
    """Nobody is told."""


def train(
    work: Work,
    strategy: TransferStrategy,
    feature: Feature,
    run: Runner,
    limits: Limits | None = None,
) -> Trained:
    """The model of a strategy that the adaptation is compared with, what it begins with trained
    first; nothing is left of it elsewhere. The limits are those of the adaptation's budget unless
    there are others."""
    directory = work.context.registry.home.run(work.context.adaptation.id) / "aside"
    chosen = limits or Limits(work.context.deadline)
    try:
        return train_in(directory, work, (strategy, feature), run, chosen)
    finally:
        # The weights are in the model, or of no use to anybody.
        shutil.rmtree(directory, ignore_errors=True)


def on_ray(work: Work, made: Recipe, folder: Path, limits: Limits) -> Trained:
    """By Ray Train, on the cluster that is connected."""
    from regraft.training.checkpoints import Checkpoints
    from regraft.training.cluster import TRAIN, role
    from regraft.training.trainer import TrainingRequest, Watcher, train_on_ray

    context, workers = work.context, work.request.spec.workers
    run = TrainingRequest(made, work.parts(), folder, workers, context.settings.use_gpu)
    needs = role(TRAIN, context.settings)
    request = replace(
        run, deadline=limits.deadline, whole=limits.whole, epochs=limits.epochs, needs=needs
    )
    # Progress is the adaptation's; a baseline's would look the same.
    report = context.report if limits.stage == "train" else _nothing
    with ThreadPoolExecutor(1, "model") as meanwhile:
        # Workers take their time to start, and so does what a model is built of.
        built = meanwhile.submit(_built, made, context.plugins)

        def over() -> bool:
            """What cannot be built here cannot be built by the workers."""
            return context.cancelled() or (built.done() and built.exception() is not None)

        try:
            train_on_ray(request, Watcher(report, over))
        finally:
            ingredients, model = built.result()
    return _finished(made, ingredients, model, Checkpoints(folder, "read"))


def _built(made: Recipe, plugins: Plugins) -> tuple[Ingredients, "TargetModel"]:
    ingredients = made.open(plugins)
    return ingredients, ingredients.model()


def here(
    work: Work, made: Recipe, folder: Path, limits: Limits, report: Report = _nothing
) -> Trained:
    """In this process, by the threads that the settings allow, on the GPU that it sees if any."""
    import torch

    from regraft.training.checkpoints import Checkpoints
    from regraft.training.loop import Loop, Part, Surroundings

    context, clock = work.context, Clock(limits.deadline, limits.whole)
    ingredients = made.open(context.plugins)
    model, checkpoints = ingredients.model(), Checkpoints(folder, "here")
    gpu = context.settings.use_gpu is not False and torch.cuda.is_available()

    def heard(kind: str, data: JSON) -> None:
        clock.heard(kind, data)
        report(kind, data)

    around = Surroundings(
        device=torch.device("cuda" if gpu else "cpu"),
        report=heard,
        cancelled=context.cancelled,
        expired=clock.expired,
    )
    loop = Loop(model, ingredients.task, ingredients.strategy, checkpoints, around)
    parts = work.parts()
    rows, judges = (Part(*parts[name]) for name in ("train", "validation"))
    with torch_threads(work.threads):
        outcome = loop.run(rows, judges, limits.epochs, ingredients.start is not None)
    validated(vars(outcome), limits.whole)
    return _finished(made, ingredients, model.cpu(), checkpoints)


def kept(work: Work, made: Recipe, folder: Path, limits: Limits) -> Trained:
    """What was trained before, in this folder."""
    from regraft.training.checkpoints import Checkpoints

    ingredients = made.open(work.context.plugins)
    return _finished(made, ingredients, ingredients.model(), Checkpoints(folder, "read"))


def _finished(
    made: Recipe, ingredients: Ingredients, model: "TargetModel", checkpoints: "Checkpoints"
) -> Trained:
    strategy = ingredients.strategy
    learning = [p for group in strategy.parameter_groups(model) for p in group.parameters]
    best = checkpoints.load_best(model)
    count = sum(parameter.numel() for parameter in learning)
    return Trained(made, strategy.finish(model), count, best.epoch + 1, best.metrics)


def train_in(directory: Path, work: Work, what: Wanted, run: Runner, limits: Limits) -> Trained:
    """The same, with all that training leaves in this directory."""
    if what[0].ingredients():
        return _mixed(directory, work, what, run, limits)
    made, earlier = _after(work, what, run, (directory, limits))
    with work.context.stage(limits.stage):
        trained = run(work, made, directory / _folder(work, what), limits)
    return replace(trained, earlier=earlier)


def _folder(work: Work, what: Wanted) -> str:
    """The name of its own for a strategy and what it learns from: what a run that ended early has
    left of other rows, such as those of a learning curve, is no beginning of it."""
    strategy, feature = what
    options, spec = strategy.options.model_dump(mode="json"), work.request.spec
    digest = sha256(json.dumps([feature.name, options, strategy.seed, spec.class_weights]).encode())
    for part in (work.data.train, work.data.validation, work.data.unlabelled):
        known = None if part is None else [*part.identities, *map(repr, part.labels)]
        digest.update(json.dumps(known).encode())
    return f"{strategy.name}-{digest.hexdigest()[:12]}"


def _mixed(directory: Path, work: Work, what: Wanted, run: Runner, limits: Limits) -> Trained:
    """One model of those of the strategy's ingredients, each of which gets an equal share of the
    time; of those that there was time for, if it did not suffice for all."""
    strategy, feature = what
    parts = strategy.ingredients()
    found = []
    for number, part in enumerate(parts):
        share = _share(limits, len(parts) - number)
        try:
            found.append(train_in(directory / str(number), work, (part, feature), run, share))
        except NoTimeError:
            if not found:
                raise
    model = strategy.mix([one.model for one in found], partial(_score, work))
    return replace(found[0], model=model)


def _share(limits: Limits, count: int) -> Limits:
    """Until a share of the time is over that is left."""
    if limits.deadline is None:
        return limits
    now = time.time()
    return replace(limits, deadline=now + (limits.deadline - now) / count)


def _score(work: Work, model: "TargetModel") -> float:
    """The primary metric of the validation part."""
    import torch

    part, task = work.data.validation, work.task
    (features,) = compute_features(TorchBackbone(model.backbone), task, part.inputs)
    with torch.no_grad():
        outputs = task.activate(model.head.eval()(torch.from_numpy(features))).numpy()
    return float(task.metrics(outputs, task.targets(part.labels))[task.primary])


def _after(
    work: Work, what: Wanted, run: Runner, where: tuple[Path, Limits]
) -> tuple[Recipe, JSON | None]:
    """The recipe, with the result of the strategy that this one begins with, and that one's metrics
    if it was trained; training that takes half of the time that is left."""
    from regraft.training.checkpoints import save_weights

    (strategy, feature), (directory, limits) = what, where
    made = recipe(work, strategy, feature)
    before = earlier(strategy, work.context.plugins)
    if before is None:
        return made, None
    if before.freezes_backbone:
        return replace(made, head=_fitted(work, before, feature)), None
    half = replace(_share(limits, 2), epochs=None)
    first = train_in(directory, work, (before, feature), run, half)
    weights = directory / f"{before.name}.safetensors"
    save_weights(weights, first.model)
    return replace(made, before=first.recipe, weights=str(weights)), first.metrics


def _fitted(work: Work, strategy: TransferStrategy, feature: Feature) -> LinearHead:
    """The head that the strategy fits on frozen features, to start from."""
    work.exported(feature)
    with work.context.stage("features"):
        features = frozen_features(work, feature, work.data.train)
    with work.context.stage("probe"):
        head = fitted(work, strategy, features)
    if not isinstance(head, LinearHead):
        raise UnsupportedError(f"Training cannot begin with the head of '{strategy.name}'.")
    return head
