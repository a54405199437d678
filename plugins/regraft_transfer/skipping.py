"""Fewer layers: one that is skipped gives what it is given."""

from functools import partial
from typing import TYPE_CHECKING, Any

from regraft import UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from regraft.model import TargetModel


def removable(model: "TargetModel") -> "list[nn.Module]":
    """The layers, from the inputs up, whose output has the shape of their input; none if the upper
    half of them has none of these: they are the stages of an encoder."""
    import torch

    from regraft.model import layers

    found: dict[nn.Module, bool] = {}

    def compare(layer: Any, given: Any, named: Any, output: Any) -> None:
        hidden = _hidden(given, named)
        layer.gives_tuple = isinstance(output, tuple)
        result = output[0] if layer.gives_tuple else output
        # More than the states and what they attend to would be missed.
        simple = not layer.gives_tuple or len(output) <= 2
        found[layer] = simple and result.shape == hidden.shape

    hooks = [
        layer.register_forward_hook(compare, with_kwargs=True) for layer in layers(model.backbone)
    ]
    before = model.training
    with torch.no_grad():
        model.backbone.eval()(**model.example)
    model.train(before)
    for hook in hooks:
        hook.remove()
    upper = [*found.values()][len(found) // 2 :]
    return [layer for layer, same in found.items() if same and any(upper)]


def too_few(model: "TargetModel", least: int) -> str | None:
    """Why so many layers could not be left out, or None."""
    found = len(removable(model))
    if found >= least:
        return None
    return f"{found} of its layers below that feature can be left out, where it takes {least}"


def skip(layers: "list[nn.Module]") -> None:
    """Take away the parameters of these layers, which are `removable`, and let them give what they
    are given, in the form in which they gave something. They stay in their places: whoever counts
    layers, or looks at the states between them, finds as many."""
    if not layers:
        raise UnsupportedError(
            "The source model has no layers that could be left out: take another strategy."
        )
    for layer in layers:
        for name in [name for name, _ in layer.named_children()]:
            delattr(layer, name)
        for name in [name for name, _ in layer.named_parameters()]:
            delattr(layer, name)
        passing: Any = partial(_passing, layer.gives_tuple)
        layer.forward = passing


def _passing(gives_tuple: Any, /, *given: Any, **named: Any) -> Any:
    hidden = _hidden(given, named)
    return (hidden, None) if gives_tuple else hidden


def _hidden(given: Any, named: Any) -> Any:
    return given[0] if given else named["hidden_states"]
