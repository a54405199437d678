"""The part of an adaptation that needs Ray."""

import shutil
from typing import TYPE_CHECKING

from regraft.training.build import Recipe
from regraft.training.checkpoints import Checkpoints
from regraft.training.cluster import connected
from regraft.training.trainer import TrainingRequest, Watcher, train_on_ray

if TYPE_CHECKING:
    from regraft.adaptations.work import Work
    from regraft.model import TargetModel


def train(work: "Work", recipe: Recipe) -> "TargetModel":
    """Train on the cluster; the model of the best epoch, in this process."""
    context, spec = work.context, work.request.spec
    directory = context.registry.home.run(context.adaptation.id)
    parts = {
        name: (part.inputs, work.task.targets(part.labels))
        for name, part in (("train", work.data.train), ("validation", work.data.validation))
    }
    request = TrainingRequest(recipe, parts, directory, spec.workers, context.settings.use_gpu)
    try:
        with connected(context.settings):
            train_on_ray(request, Watcher(context.report, context.cancelled))
        ingredients = recipe.open(context.plugins)
        model = ingredients.model()
        Checkpoints(directory, "read").load_best(model)
        return ingredients.strategy.finish(model)
    finally:
        # The weights are in the model, or of no use to anybody.
        shutil.rmtree(directory, ignore_errors=True)
