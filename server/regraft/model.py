"""The model in training: a backbone and a head. The only module of the contract with torch."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn


class TargetModel(nn.Module):
    """A backbone that gives a feature, and a head that turns it into outputs.

    `forward` takes the source model's input tensors by name and returns `(features, outputs)`.
    `example` is a small batch of made-up inputs, `fixed` the names of the backbone's parameters
    that the source model itself holds fixed.
    """

    def __init__(
        self, backbone: nn.Module, head: nn.Module, example: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.example = dict(example or {})
        self.fixed = frozenset(n for n, p in backbone.named_parameters() if not p.requires_grad)

    @property
    def keeps_statistics(self) -> bool:
        """Whether the backbone says, by an attribute of this name, that its batch norms take their
        statistics as they are in training too."""
        return bool(getattr(self.backbone, "keeps_statistics", False))

    def forward(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(**inputs)
        return features, self.head(features)

    def feature_size(self) -> int:
        """Numbers of a feature, [D], of the example; it leaves no trace in running statistics."""
        before = self.backbone.training
        with torch.no_grad():
            size: int = self.backbone.eval()(**self.example).shape[-1]
        self.backbone.train(before)
        return size


def mean(models: Sequence[TargetModel]) -> TargetModel:
    """A model with the mean of each weight; what is no float is the first's. Source: Wortsman et
    al. 2022, Model Soups."""
    made = deepcopy(models[0])
    made.load_state_dict(mean_of_weights(models))
    return made


def mean_of_weights(models: Sequence[TargetModel]) -> dict[str, Tensor]:
    """The mean of each weight by its name; what is no float is the first's."""
    first, *others = (model.state_dict() for model in models)
    return {
        name: torch.stack([value, *(state[name] for state in others)]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in first.items()
    }


def layers(backbone: nn.Module) -> list[nn.Module]:
    """Its stack of layers from the inputs up: of the lists of modules of one class, that with the
    most parameters. Empty if it has none."""
    stacks = [
        list(module)
        for module in backbone.modules()
        if isinstance(module, nn.ModuleList | nn.Sequential) and len({*map(type, module)}) == 1
    ]
    return max((stack for stack in stacks if len(stack) > 1), key=_parameters, default=[])


def _parameters(stack: list[nn.Module]) -> int:
    return sum(p.numel() for layer in stack for p in layer.parameters())


def levels(backbone: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters that learn, from the inputs up: those below the layers, those of each layer;
    those above them count to the last."""
    owner = {p: n for n, layer in enumerate(layers(backbone), 1) for p in layer.parameters()}
    found: list[list[nn.Parameter]] = [[] for _ in range(max(owner.values(), default=0) + 1)]
    now = 0
    for parameter in backbone.parameters():
        now = owner.get(parameter, len(found) - 1 if now else 0)
        if parameter.requires_grad:
            found[now].append(parameter)
    return [level for level in found if level]
