"""Real source models with a head for two classes."""

from regraft.model import TargetModel
from regraft.plugins import Plugins
from regraft.training.build import Recipe


def real(source: str, task: str, plugins: Plugins) -> TargetModel:
    opened = plugins.open_source(source)
    feature = opened.candidates("pooled")[0].name
    inputs, labels = opened.inputs, ("a", "b")
    return Recipe(source, task, "full", feature, inputs, labels, {}, 0).open(plugins).model()
