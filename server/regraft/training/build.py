"""From names to the model that a strategy trains."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regraft.contract import Feature, Inputs, SourceModel, Task, TransferStrategy
from regraft.errors import UnsupportedError
from regraft.plugins import Plugins

if TYPE_CHECKING:
    from torch import nn

    from regraft.model import TargetModel


@dataclass(frozen=True)
class Recipe:
    """All that determines a model in training; it travels between processes, a model never does."""

    source: str
    task: str
    strategy: str
    feature: str
    labels: tuple[str, ...]
    options: dict[str, Any]
    seed: int

    def open(self, plugins: Plugins) -> "Ingredients":
        source = plugins.open_source(self.source)
        task = plugins.task(self.task)(source.inputs, self.labels)
        kind = plugins.strategy(self.strategy)
        strategy = kind(kind.Options.model_validate(self.options), self.seed)
        return Ingredients(source, task, strategy, source.feature(task.form, self.feature))


@dataclass(frozen=True)
class Ingredients:
    """A recipe's things, opened in this process."""

    source: SourceModel
    task: Task
    strategy: TransferStrategy
    feature: Feature

    def model(self) -> "TargetModel":
        """The model as the strategy wants to train it; the head starts from the seed."""
        import torch

        from regraft.model import TargetModel

        torch.manual_seed(self.strategy.seed)
        backbone = self.source.module(self.feature)
        if backbone is None:
            raise UnsupportedError(
                f"Strategy '{self.strategy.name}' changes the backbone, but source model "
                f"'{self.source.name}' is a graph without a torch module: only strategies that "
                "freeze the backbone apply, such as linear-probe."
            )
        freeze_unreached(backbone, self.source.inputs)
        return self.strategy.prepare(TargetModel(backbone, self.task.head(self.feature)))


def freeze_unreached(backbone: "nn.Module", inputs: Inputs) -> None:
    """Parameters that the feature does not depend on, such as those of a pooling that is not used,
    are left alone: workers that wait for their gradients would fail."""
    import torch

    before = backbone.training
    with torch.random.fork_rng(devices=[]):
        batch = inputs.example(2, 8)
        found = backbone.eval()(**{name: torch.from_numpy(a) for name, a in batch.items()})
        if found.requires_grad:
            found.square().sum().backward()
    for parameter in backbone.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    backbone.train(before)
