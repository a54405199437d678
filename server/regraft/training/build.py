"""From names to the model that a strategy trains."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regraft.contract import Feature, Inputs, LinearHead, SourceModel, Task, TransferStrategy
from regraft.errors import UnsupportedError
from regraft.plugins import Plugins

if TYPE_CHECKING:
    from torch import Tensor, nn

    from regraft.model import TargetModel


@dataclass(frozen=True)
class Recipe:
    """All that determines a model in training; it travels between processes, a model never does."""

    source: str
    task: str
    strategy: str
    feature: str
    inputs: Inputs
    labels: tuple[str, ...]
    options: dict[str, Any]
    seed: int
    head: LinearHead | None = None
    """What the new head starts as, where the strategy comes after one that fits a head."""
    before: "Recipe | None" = None
    weights: str = ""
    """The recipe of the model that the strategy comes after, and the file of its weights."""

    def open(self, plugins: Plugins) -> "Ingredients":
        source = plugins.open_source(self.source)
        task = plugins.task(self.task)(self.inputs, self.labels)
        kind = plugins.strategy(self.strategy)
        strategy = kind(kind.Options.model_validate(self.options), self.seed)
        feature = source.feature(task.form, self.feature)
        before = None if self.before is None else self.before.open(plugins)
        return Ingredients(source, task, strategy, feature, self.head, before, self.weights)


@dataclass(frozen=True)
class Ingredients:
    """A recipe's things, opened in this process."""

    source: SourceModel
    task: Task
    strategy: TransferStrategy
    feature: Feature
    start: LinearHead | None = None
    before: "Ingredients | None" = None
    weights: str = ""

    def model(self) -> "TargetModel":
        """The model as the strategy wants to train it; the head starts from the seed."""
        import torch

        torch.manual_seed(self.strategy.seed)
        made = self.strategy.prepare(self._earlier() if self.before else self.fresh())
        if self.strategy.refits_head:  # Its loss asks for features alone.
            made.head.requires_grad_(False)
        return made

    def _earlier(self) -> "TargetModel":
        """The finished model of the strategy before this one."""
        from safetensors.torch import load_file

        assert self.before is not None
        made = self.before.strategy.finish(self.before.model())
        made.load_state_dict(load_file(self.weights))
        for name, parameter in made.backbone.named_parameters():
            # What it left alone, the next may change; what the source model does, nobody.
            parameter.requires_grad_(name not in made.fixed)
        made.head.requires_grad_(True)
        freeze_unreached(made.backbone, made.example)
        return made

    def fresh(self) -> "TargetModel":
        """The source model as far as the feature, with a new head."""
        from regraft.model import TargetModel

        backbone = self.source.module(self.feature)
        if backbone is None:
            raise UnsupportedError(
                f"Strategy '{self.strategy.name}' changes the backbone, but source model "
                f"'{self.source.name}' is a graph without a torch module: only strategies that "
                "freeze the backbone apply, such as linear-probe."
            )
        example = _tensors(self.task.inputs)
        freeze_unreached(backbone, example)
        return TargetModel(backbone, self._head(), example)

    def _head(self) -> "nn.Module":
        """The task's own, filled with what it is to start as."""
        import torch

        head = self.task.head(self.feature)
        if self.start is not None:
            if not isinstance(head, torch.nn.Linear):
                raise UnsupportedError(
                    f"Strategy '{self.strategy.name}' starts from a linear head, but task "
                    f"'{self.task.name}' has another kind of head: take full."
                )
            head.weight.data.copy_(torch.from_numpy(self.start.weight))
            head.bias.data.copy_(torch.from_numpy(self.start.bias))
        return head


def _tensors(inputs: Inputs) -> "dict[str, Tensor]":
    """A small batch of made-up inputs."""
    import torch

    return {name: torch.from_numpy(array) for name, array in inputs.example(2, 8).items()}


def freeze_unreached(backbone: "nn.Module", example: "dict[str, Tensor]") -> None:
    """Parameters that the feature does not depend on, such as those of a pooling that is not used,
    are left alone: workers that wait for their gradients would fail. So would they for those of a
    head that is fitted in the end."""
    import torch

    before = backbone.training
    with torch.random.fork_rng(devices=[]):
        found = backbone.eval()(**example)
        if found.requires_grad:
            found.square().sum().backward()
    for parameter in backbone.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    backbone.train(before)
