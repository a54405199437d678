"""The contract check of a task."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from regraft.contract import Array, Columns, Feature, FeatureForm, Inputs, LinearHead, Task
from regraft.domain import NAME_PATTERN
from regraft.serving.predictor import SoftmaxHead
from regraft.testing.tensors import check_arrays, check_specs, feature_shape

if TYPE_CHECKING:
    import torch

HEAVY = ("torch", "transformers", "sklearn")
SAME = 1e-5


def check_task(
    task: type[Task], inputs: Inputs, rows: Sequence[Any], labels: Sequence[str]
) -> None:
    """Raise AssertionError if the task breaks its contract.

    `rows` are at least four inputs of unlike size, and `labels` theirs; `inputs` is the record of
    a source model that the task can use.
    """
    check_description(task)
    check_imports(task)
    assert isinstance(inputs, task.inputs_type), (
        f"`inputs_type` is {task.inputs_type.__name__}, but `inputs` a {type(inputs).__name__}."
    )
    made = task(task.completed(inputs, rows), task.labels_of(labels))
    targets = check_targets(made, labels)
    check_encode(made, rows)
    outputs = check_head(made, targets)
    check_metrics(made, outputs, targets)
    check_baselines(made, rows, targets, outputs)
    check_request(made, rows)
    check_answers(made, outputs)


def check_description(task: type[Task]) -> None:
    """The attributes of the class."""
    wanted = ("name", "modality", "summary", "inputs_type", "form", "primary", "columns")
    missing = [name for name in wanted if not getattr(task, name, None)]
    assert not missing, f"{task.__name__} lacks the class attributes {', '.join(missing)}."
    assert re.match(NAME_PATTERN, task.name), f"`name` must match {NAME_PATTERN}: '{task.name}'."
    assert task.form in get_args(FeatureForm), (
        f"`form` must be one of {get_args(FeatureForm)}, not '{task.form}'."
    )
    assert issubclass(task.inputs_type, Inputs), "`inputs_type` must be a subclass of Inputs."
    assert isinstance(task.columns, Columns), "`columns` must be a Columns record."


def check_imports(task: type[Task]) -> None:
    """Serving loads the module of a task: it must not pull in what serving does without."""
    code = (
        f"import sys, importlib; importlib.import_module({task.__module__!r}); "
        f"print(*(m for m in {HEAVY} if m in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, f"{task.__module__} cannot be imported: {found.stderr[-500:]}"
    loaded = found.stdout.split()
    assert not loaded, (
        f"Importing {task.__module__} imports {', '.join(loaded)}: import it inside the functions "
        "that need it, since serving loads this module."
    )


def check_targets(task: Task, labels: Sequence[str]) -> Array:
    """One target a row; the label set does not depend on the order of the rows."""
    assert task.labels_of(labels) == task.labels_of(list(labels)[::-1]), (
        "`labels_of` depends on the order of the rows: sort the labels."
    )
    targets = task.targets(labels)
    assert len(targets) == len(labels), (
        f"`targets` gives {len(targets)} items for {len(labels)} labels."
    )
    return targets


def check_encode(task: Task, rows: Sequence[Any]) -> None:
    """The tensors of `inputs`, and each row as it would be encoded alone, up to padding."""
    refused = [reason for row in rows if (reason := task.check(row)) is not None]
    assert not refused, f"`check` refuses a row of the example: {refused[0]}."
    together = task.encode(rows)
    check_arrays(together, task.inputs.tensors, len(rows))
    for position, row in enumerate(rows):
        for name, alone in task.encode([row]).items():
            same = together[name][position][tuple(slice(size) for size in alone.shape[1:])]
            assert np.array_equal(alone[0], same), (
                f"`encode` gives another '{name}' for a row beside others than for it alone: only "
                "padding at the end may differ."
            )
            real = tuple(slice(size, None) for size in alone.shape[1:])
            assert not (name.endswith("mask") and together[name][position][real].any()), (
                f"`encode` leaves padding of '{name}' unmasked: it must be 0."
            )
    sizes = [task.size(row) for row in rows]
    assert all(size >= 0 for size in sizes), "`size` must not be negative."


def check_head(task: Task, targets: Array) -> Array:
    """The head learns, and is served as it was trained; its served outputs for random features."""
    import torch

    feature = Feature("made-up", task.form, 8)
    torch.manual_seed(0)
    head = task.head(feature)
    features = torch.randn(feature_shape(feature, len(targets), 5))
    logits = head(features)
    loss = task.loss(logits, torch.from_numpy(targets))
    assert loss.ndim == 0, f"`loss` must be one number, the mean of the batch, not {loss}."
    assert bool(loss.isfinite()), f"`loss` must be finite, not {loss}."
    loss.backward()  # type: ignore[no-untyped-call]
    learns = any(p.grad is not None and bool(p.grad.any()) for p in head.parameters())
    assert learns, "`loss` gives the parameters of `head` no gradient."
    with torch.no_grad():
        trained = task.activate(head(features)).numpy()
    served = _served(task.serving_head(head), features)
    same = trained.shape == served.shape and np.allclose(trained, served, atol=SAME)
    assert same, "`serving_head` does not say what `activate` says of the head's outputs."
    return served


def _served(head: "LinearHead | torch.nn.Module", features: "torch.Tensor") -> Array:
    import torch

    if isinstance(head, LinearHead):
        return SoftmaxHead(head.weight, head.bias)(features.numpy())
    with torch.no_grad():
        return np.asarray(head.eval()(features).numpy())


def check_metrics(task: Task, outputs: Array, targets: Array) -> None:
    """P_T and L_T as JSON, and the scores behind the primary metric."""
    metrics = task.metrics(outputs, targets)
    for name in (task.primary, "loss"):
        value = metrics.get(name)
        good = isinstance(value, float) and np.isfinite(value)
        assert good, f"`metrics` must give '{name}' as a finite float, not {value!r}."
    _check_json(metrics, "metrics")
    scores = task.scores(outputs, targets)
    assert np.shape(scores) == (len(targets),), (
        f"`scores` must be one number a row, not {np.shape(scores)}."
    )
    if task.primary == "accuracy":
        assert abs(float(np.mean(scores)) - metrics["accuracy"]) < SAME, (
            f"The mean of `scores` is {np.mean(scores):g}, but the accuracy "
            f"{metrics['accuracy']:g}: intervals would be of something else."
        )


def check_baselines(task: Task, rows: Sequence[Any], targets: Array, outputs: Array) -> None:
    """Both baselines answer in the shape of the served outputs."""
    wanted = _lengths_aside(outputs, task)
    guess = task.majority(targets, len(rows))
    assert _lengths_aside(guess, task) == wanted, (
        f"`majority` gives {np.shape(guess)}, but outputs are {outputs.shape}."
    )
    simple = task.simple_baseline(0)
    simple.fit(list(rows), targets)
    found = simple.predict_proba(list(rows))
    assert _lengths_aside(found, task) == wanted, (
        f"`simple_baseline` predicts {np.shape(found)}, but outputs are {outputs.shape}."
    )


def _lengths_aside(outputs: Array, task: Task) -> tuple[int, ...]:
    """The shape, without the steps of a sequence, of which there may be any number."""
    shape = np.shape(outputs)
    return (shape[0], *shape[2:]) if task.form == "sequence" else shape


def check_request(task: Task, rows: Sequence[Any]) -> None:
    """A request of text or bytes comes back as the rows that it was made of."""
    specs = task.request_tensors()
    check_specs(specs, "`request_tensors()`")
    if [spec.datatype for spec in specs] != ["BYTES"]:
        return
    items = np.empty(len(rows), object)
    items[:] = [row.encode() if isinstance(row, str) else row for row in rows]
    found = task.rows({specs[0].name: items})
    assert found == list(rows), (
        f"`rows` gives {found[:1]!r}… for a request with {list(rows)[:1]!r}…."
    )


def check_answers(task: Task, outputs: Array) -> None:
    """Outputs as the response says, and as one readable record a row."""
    specs = task.response_tensors()
    check_specs(specs, "`response_tensors()`")
    tensors = task.decode(outputs)
    check_arrays(tensors, specs, len(outputs))
    answers = task.answers(tensors)
    assert len(answers) == len(outputs), (
        f"`answers` gives {len(answers)} records for {len(outputs)} rows."
    )
    _check_json(answers, "answers")


def _check_json(value: Any, method: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"`{method}` gives what JSON cannot hold: {error}.") from error
