"""The part of an adaptation that needs Ray."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from regraft.adaptations.request import earlier
from regraft.adaptations.work import fitted, frozen_features, recipe
from regraft.contract import Feature, LinearHead, TransferStrategy
from regraft.errors import UnsupportedError
from regraft.training.build import Recipe
from regraft.training.checkpoints import Checkpoints, save_weights
from regraft.training.cluster import connected
from regraft.training.trainer import TrainingRequest, Watcher, train_on_ray

if TYPE_CHECKING:
    from regraft.adaptations.work import Work
    from regraft.model import TargetModel


@dataclass(frozen=True)
class Limits:
    """When training ends, as `time.time` tells it, whether it fails where it is not through, and
    as which stage its time counts."""

    deadline: float | None = None
    whole: bool = False
    stage: str = "train"


@dataclass(frozen=True)
class Trained:
    """A finished model, and how many of its parameters learnt."""

    recipe: Recipe
    model: "TargetModel"
    parameters: int


Wanted = tuple[TransferStrategy, Feature]


def train(
    work: "Work", strategy: TransferStrategy, feature: Feature, limits: Limits | None = None
) -> Trained:
    """Train on the cluster, what the strategy begins with first; the model of the best epoch, in
    this process. The limits are those of the adaptation's budget unless there are others."""
    directory = work.context.registry.home.run(work.context.adaptation.id)
    try:
        with connected(work.context.settings):
            chosen = limits or Limits(work.context.deadline)
            return _trained(work, (strategy, feature), directory, chosen)
    finally:
        # The weights are in the model, or of no use to anybody.
        shutil.rmtree(directory, ignore_errors=True)


def _trained(work: "Work", what: Wanted, directory: Path, limits: Limits) -> Trained:
    context = work.context
    made = _after(work, what, directory, limits)
    folder, gpu = directory / what[0].name, context.settings.use_gpu
    run = TrainingRequest(made, work.parts(), folder, work.request.spec.workers, gpu)
    request = replace(run, deadline=limits.deadline, whole=limits.whole)
    with context.stage(limits.stage):
        # Progress is the adaptation's; a baseline's would look the same.
        report = (lambda kind, data: None) if limits.whole else context.report
        train_on_ray(request, Watcher(report, context.cancelled))
        ingredients = made.open(context.plugins)
        model = ingredients.model()
        groups = ingredients.strategy.parameter_groups(model)
        count = sum(p.numel() for group in groups for p in group.parameters)
        Checkpoints(folder, "read").load_best(model)
        return Trained(made, ingredients.strategy.finish(model), count)


def _after(work: "Work", what: Wanted, directory: Path, limits: Limits) -> Recipe:
    """The recipe, with the result of the strategy that this one begins with; training that takes
    half of the time that is left."""
    strategy, feature = what
    made = recipe(work, strategy, feature)
    before = earlier(strategy, work.context.plugins)
    if before is None:
        return made
    if before.freezes_backbone:
        return replace(made, head=_fitted(work, before, feature))
    deadline = limits.deadline
    half = None if deadline is None else (time.time() + deadline) / 2
    first = _trained(work, (before, feature), directory, replace(limits, deadline=half))
    weights = directory / f"{before.name}.safetensors"
    save_weights(weights, first.model)
    return replace(made, before=first.recipe, weights=str(weights))


def _fitted(work: "Work", strategy: TransferStrategy, feature: Feature) -> LinearHead:
    """The head that the strategy fits on frozen features, to start from."""
    work.exported(feature)
    with work.context.stage("features"):
        features = frozen_features(work, feature, work.data.train)
    with work.context.stage("probe"):
        head = fitted(work, strategy, features)
    if not isinstance(head, LinearHead):
        raise UnsupportedError(f"Training cannot begin with the head of '{strategy.name}'.")
    return head
