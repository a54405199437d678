"""The part of an adaptation that needs Ray."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from regraft.adaptations.request import earlier
from regraft.adaptations.work import fitted, frozen_features
from regraft.contract import Feature, LinearHead, TransferStrategy
from regraft.errors import UnsupportedError
from regraft.training.build import Recipe
from regraft.training.checkpoints import Checkpoints, save_weights
from regraft.training.cluster import connected
from regraft.training.trainer import TrainingRequest, Watcher, train_on_ray

if TYPE_CHECKING:
    from regraft.adaptations.work import Work
    from regraft.model import TargetModel

Wanted = tuple[TransferStrategy, Feature]


def train(work: "Work", strategy: TransferStrategy, feature: Feature) -> "TargetModel":
    """Train on the cluster, what the strategy begins with first; the model of the best epoch, in
    this process."""
    directory = work.context.registry.home.run(work.context.adaptation.id)
    try:
        with connected(work.context.settings):
            _, model = _trained(work, (strategy, feature), directory, work.context.deadline)
        return model
    finally:
        # The weights are in the model, or of no use to anybody.
        shutil.rmtree(directory, ignore_errors=True)


def _trained(
    work: "Work", what: Wanted, directory: Path, deadline: float | None
) -> "tuple[Recipe, TargetModel]":
    """The recipe and the finished model."""
    context = work.context
    recipe = _after(work, what, directory, deadline)
    parts = {
        name: (part.inputs, work.task.targets(part.labels))
        for name, part in (("train", work.data.train), ("validation", work.data.validation))
    }
    folder, gpu = directory / what[0].name, context.settings.use_gpu
    request = TrainingRequest(recipe, parts, folder, work.request.spec.workers, gpu, deadline)
    with context.stage("train"):
        train_on_ray(request, Watcher(context.report, context.cancelled))
        ingredients = recipe.open(context.plugins)
        model = ingredients.model()
        Checkpoints(folder, "read").load_best(model)
        return recipe, ingredients.strategy.finish(model)


def _after(work: "Work", what: Wanted, directory: Path, deadline: float | None) -> Recipe:
    """The recipe, with the result of the strategy that this one begins with; training that takes
    half of the time that is left."""
    strategy, feature = what
    recipe = _recipe(work, strategy, feature)
    before = earlier(strategy, work.context.plugins)
    if before is None:
        return recipe
    if before.freezes_backbone:
        return replace(recipe, head=_fitted(work, before, feature))
    half = None if deadline is None else (time.time() + deadline) / 2
    first, model = _trained(work, (before, feature), directory, half)
    weights = directory / f"{before.name}.safetensors"
    save_weights(weights, model)
    return replace(recipe, before=first, weights=str(weights))


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


def _recipe(work: "Work", strategy: TransferStrategy, feature: Feature) -> Recipe:
    spec = work.request.spec
    return Recipe(
        source=spec.source,
        task=spec.task,
        strategy=strategy.name,
        feature=feature.name,
        inputs=work.task.inputs,
        labels=work.task.labels,
        options=strategy.options.model_dump(mode="json"),
        seed=spec.seed,
    )
