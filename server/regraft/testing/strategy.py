"""The contract check of a transfer strategy."""

import dataclasses
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from pydantic import BaseModel, ValidationError

from regraft.contract import Array, Feature, Folds, LinearHead, StrategyKind, TransferStrategy
from regraft.domain import NAME_PATTERN
from regraft.threads import torch_threads

if TYPE_CHECKING:
    from torch import nn

    from regraft.model import TargetModel
    from regraft.training.loop import Outcome

SEED = 1
EPOCHS = 3
TOLERANCE = 1e-3
SAME = 1e-5
CASES = {"2 classes": (2, 40, 8), "3 classes": (3, 60, 8), "fewer rows than features": (3, 15, 64)}
"""Classes, rows and features of the data for closed forms."""


def check_strategy(strategy: type[TransferStrategy]) -> None:
    """Raise AssertionError if the strategy breaks its contract.

    One that freezes the backbone fits small separable features; any other trains a small model
    for a few epochs in the host's own loop, in this process, and is exported.
    """
    check_description(strategy)
    check_options(strategy)
    if strategy.uses_own_head:
        return
    if strategy.freezes_backbone or strategy.refits_head:
        for name, (classes, rows, size) in CASES.items():
            head = check_fit(strategy, name, *separable(classes, rows, size))
            check_choice(strategy, *separable(classes, rows, size))
        check_head(head, size)
    if strategy.freezes_backbone:
        return
    check_ingredients(strategy)
    with tempfile.TemporaryDirectory() as folder:
        check_groups(strategy)
        with torch_threads(1):  # more cost more than they save of small tensors
            check_training(strategy, Path(folder))


def check_description(strategy: type[TransferStrategy]) -> None:
    """The attributes of the class."""
    name = getattr(strategy, "name", "")
    assert re.match(NAME_PATTERN, name), f"`name` must match {NAME_PATTERN}: '{name}'."
    assert getattr(strategy, "kind", None) in get_args(StrategyKind), (
        f"`kind` must be one of {get_args(StrategyKind)}."
    )
    assert strategy.freezes_backbone or not strategy.fuses_features, (
        "`fuses_features` is for strategies that freeze the backbone."
    )
    assert getattr(strategy, "summary", ""), "`summary` must say in a line what the strategy does."


def check_options(strategy: type[TransferStrategy]) -> None:
    """Every option has a default, an unknown one is refused, and they travel as JSON."""
    kind = strategy.Options
    assert issubclass(kind, BaseModel), "`Options` must be a pydantic model."
    try:
        defaults = kind()
    except ValidationError as error:
        raise AssertionError(f"`Options()` must be valid without arguments: {error}") from error
    travelled = kind.model_validate(defaults.model_dump(mode="json"))
    assert travelled == defaults, "`Options` changes on its way through JSON."
    try:
        kind.model_validate({"no_such_option": 1})
    except ValidationError:
        return
    raise AssertionError("`Options` takes an unknown option: set extra='forbid' on it.")


def separable(classes: int, rows: int, size: int) -> tuple[Array, Array]:
    """Features [N, D] around one centre a class, one column of them constant; class indices."""
    rng = np.random.default_rng(0)
    targets = np.arange(rows) % classes
    features = rng.normal(size=(classes, size))[targets] * 4 + rng.normal(size=(rows, size))
    features[:, 0] = 0.1
    return features.astype(np.float32), targets


def check_fit(strategy: type[TransferStrategy], case: str, features: Array, targets: Array) -> Any:
    """A head of the right shape that tells the classes apart, the same for the same seed."""
    folds = even_folds(len(targets))
    made = [strategy(strategy.Options(), SEED) for _ in range(2)]
    head, again = (each.fit(features, targets, folds) for each in made)
    arrays, others = (head_arrays(each, case) for each in (head, again))
    for name, array in arrays.items():
        assert np.isfinite(array).all(), f"`fit` gives a `{name}` that is not finite ({case})."
        assert np.array_equal(array, others[name]), (
            f"`fit` gives another `{name}` for the same seed ({case}): use `self.seed`."
        )
    classes = int(targets.max()) + 1
    if isinstance(head, LinearHead):
        check_shapes(head, (classes, features.shape[1]), case)
    logits = head_logits(head, features)
    assert logits.shape == (len(features), classes), (
        f"The head of `fit` gives {logits.shape}, not a logit for each row and class ({case})."
    )
    right = (logits.argmax(1) == targets).mean()
    assert right > 0.9, f"`fit` gets {right:.0%} of separable training rows right ({case})."
    return head


def check_head(head: Any, size: int) -> None:
    """One that is a module can be exported."""
    from regraft.export.graph import export_head

    if not isinstance(head, LinearHead):
        export_head(head, Feature("features", "pooled", size))


def head_arrays(head: Any, case: str) -> dict[str, Array]:
    """What a head is made of: weight and bias, or the state of its module."""
    from torch import nn

    if isinstance(head, LinearHead):
        return {"weight": head.weight, "bias": head.bias}
    assert isinstance(head, nn.Module), f"`fit` must return a LinearHead or a module ({case})."
    return {name: tensor.numpy() for name, tensor in head.state_dict().items()}


def head_logits(head: Any, features: Array) -> Array:
    """What a head says of features [N, D]."""
    if isinstance(head, LinearHead):
        linear: Array = features @ head.weight.T + head.bias
        return linear
    import torch

    with torch.no_grad():
        found: Array = head.eval()(torch.from_numpy(features)).numpy()
    return found


def check_shapes(head: LinearHead, shape: tuple[int, int], case: str) -> None:
    for name, expected in (("weight", shape), ("bias", shape[:1])):
        array: Array = getattr(head, name)
        fits = array.shape == expected and array.dtype == np.float32
        assert fits, (
            f"`fit` must give `{name}` as float32 {expected}, not {array.dtype} {array.shape} "
            f"({case})."
        )


def even_folds(rows: int) -> Folds:
    """Three, by the row's number; fitting rows of few classes."""
    numbers = np.arange(rows) // 3 % 3
    return [(np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)) for fold in range(3)]


def check_choice(strategy: type[TransferStrategy], features: Array, targets: Array) -> None:
    """Features that tell the classes apart have a smaller loss than noise."""
    made, folds = strategy(strategy.Options(), SEED), even_folds(len(targets))
    noise = np.random.default_rng(0).normal(size=features.shape).astype(np.float32)
    good, bad = (made.cross_validate(array, targets, folds) for array in (features, noise))
    assert good < bad, (
        f"`cross_validate` must be a loss, smaller for better features: it is {good:.3f} for ones "
        f"that tell the classes apart and {bad:.3f} for noise."
    )


def check_groups(strategy: type[TransferStrategy]) -> None:
    """The parameter groups hold parameters of the prepared model, each once."""
    made, model = prepared(strategy)
    given = [p for group in made.parameter_groups(model) for p in group.parameters]
    assert given, "`parameter_groups` gives nothing to learn."
    assert len({id(p) for p in given}) == len(given), "`parameter_groups` gives a parameter twice."
    known = {id(p) for p in model.parameters()}
    assert all(id(p) in known for p in given), (
        "`parameter_groups` gives parameters that `prepare` did not attach to the model."
    )


def check_ingredients(strategy: type[TransferStrategy]) -> None:
    """What is trained in its place begins as it does, and is mixed to one model."""
    from regraft.model import TargetModel
    from regraft.testing.toy import toy_model

    made = strategy(strategy.Options(), SEED)
    parts = made.ingredients()
    strange = [part.name for part in parts if part.after != strategy.after]
    assert not strange, f"`ingredients` begin with other things than the strategy: {strange}."
    if parts:
        mixed = made.mix([toy_model(SEED) for _ in parts], lambda model: 0.0)
        assert isinstance(mixed, TargetModel), "`mix` must return a TargetModel."


def check_training(strategy: type[TransferStrategy], folder: Path) -> None:
    """It learns, resumes to the same weights, and ends with a model that can be exported."""
    whole, outcome, losses = train(strategy, folder / "whole")
    assert outcome.state == "finished", f"Training of a small model ended as {outcome.state}."
    check_gradients(strategy, whole)
    assert strategy.refits_head or losses[-1] < losses[0], (
        f"The task's loss does not fall in {EPOCHS} epochs of a small model: "
        f"{', '.join(f'{loss:.3f}' for loss in losses)}."
    )
    train(strategy, folder / "parts", stop_after=EPOCHS - 1)
    resumed, _, _ = train(strategy, folder / "parts")
    check_same_weights(whole, resumed)
    check_finish(strategy, folder)


def check_gradients(strategy: type[TransferStrategy], model: "TargetModel") -> None:
    """Each parameter that could learn did: several workers would wait for its gradient."""
    learning = [pair for pair in model.named_parameters() if pair[1].requires_grad]
    idle = [name for name, parameter in learning if parameter.grad is None]
    if strategy.refits_head:
        idle = [name for name in idle if not name.startswith("head.")]
    assert not idle, (
        f"The loss depends on no {', '.join(idle[:3])}: `prepare` must freeze what does not learn, "
        "since several workers wait for one another's gradients."
    )


def prepared(strategy: type[TransferStrategy]) -> "tuple[TransferStrategy, TargetModel]":
    """An instance with a plan of a few epochs, and a small model that it has prepared."""
    from regraft.testing.toy import toy_model

    class Short(strategy):  # type: ignore[misc, valid-type]
        def plan(self) -> Any:
            own = super().plan()
            rate = max(own.learning_rate, 1e-3)
            return dataclasses.replace(
                own,
                epochs=EPOCHS,
                patience=EPOCHS,
                batch_size=8,
                least_steps=0,
                learning_rate=rate,
            )

    made: TransferStrategy = Short(strategy.Options(), SEED)
    return made, made.prepare(toy_model(SEED))


def train(
    strategy: type[TransferStrategy],
    folder: Path,
    stop_after: int | None = None,
    device: str = "cpu",
) -> "tuple[TargetModel, Outcome, list[float]]":
    """Train in `folder`, from its checkpoint if there is one; the mean loss of each epoch too.

    Cancelled once `stop_after` epochs are done.
    """
    import torch

    from regraft.testing.toy import toy_part, toy_task
    from regraft.training.checkpoints import Checkpoints
    from regraft.training.loop import Loop, Surroundings

    events: list[tuple[str, dict[str, Any]]] = []
    made, model = prepared(strategy)
    around = Surroundings(
        device=torch.device(device),
        report=lambda kind, data: events.append((kind, data)),
        cancelled=lambda: sum(kind == "epoch" for kind, _ in events) == stop_after,
    )
    loop = Loop(model, toy_task(), made, Checkpoints(folder, "attempt"), around)
    others = 0 if strategy.unlabelled == "unused" else 24
    outcome = loop.run(toy_part(72, seed=1, unlabelled=others), toy_part(24, seed=2))
    return model, outcome, _losses([data for kind, data in events if kind == "step"])


def _losses(steps: list[dict[str, Any]]) -> list[float]:
    epochs = sorted({step["epoch"] for step in steps})
    return [float(np.mean([s["loss"] for s in steps if s["epoch"] == epoch])) for epoch in epochs]


def check_same_weights(whole: "TargetModel", resumed: "TargetModel") -> None:
    other = resumed.state_dict()
    different = [
        name
        for name, value in whole.state_dict().items()
        if not np.allclose(value.numpy(), other[name].numpy(), atol=SAME)
    ]
    assert not different, (
        f"A resumed run ends with other weights than one that was not interrupted "
        f"({', '.join(different[:3])}): what `start_epoch` or `loss` depend on must follow "
        "from the epoch, the seed and the model's state."
    )


def check_finish(strategy: type[TransferStrategy], folder: Path) -> None:
    """`finish` on the best weights gives a model whose backbone, where that is built in another
    way than the source's, is exported and says the same."""
    from regraft.export.graph import export_backbone
    from regraft.model import TargetModel
    from regraft.serving.predictor import Backbone
    from regraft.serving.sessions import Runtime
    from regraft.testing.source import check_same, module_forward
    from regraft.testing.toy import FEATURE, INPUTS, toy_model
    from regraft.training.checkpoints import Checkpoints

    made, model = prepared(strategy)
    Checkpoints(folder / "whole", "read").load_best(model)
    finished = made.finish(model)
    assert isinstance(finished, TargetModel), "`finish` must return a TargetModel."
    if parts_of(finished.backbone) == parts_of(toy_model(SEED).backbone):
        return
    path = folder / "backbone.onnx"
    path.write_bytes(export_backbone(finished.backbone, INPUTS, FEATURE))
    check_same(Backbone(path, Runtime()).features, module_forward(finished.backbone), INPUTS)


def parts_of(module: "nn.Module") -> list[tuple[str, type]]:
    """How it is built."""
    return [(name, type(part)) for name, part in module.named_modules()]
