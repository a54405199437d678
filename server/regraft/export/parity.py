"""The parity gate: the exported graphs must say what the torch model says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft.arrays import joined_rows
from regraft.contract import Array, LinearHead, Task
from regraft.domain import JSON
from regraft.errors import RunFailedError
from regraft.serving.sessions import CPU, session_options

if TYPE_CHECKING:
    from torch import nn

ROWS = 64
TOLERANCE = 1e-3

Outputs = Callable[[Sequence[Any]], Array]


@dataclass(frozen=True)
class Parity:
    """The greatest difference of any output, and the share of rows whose best output agrees."""

    max_abs_diff: float
    argmax_agreement: float
    rows: int
    batches: tuple[int, ...]

    def as_dict(self) -> JSON:
        return {**vars(self), "batches": list(self.batches)}


def torch_outputs(backbone: "nn.Module", head: "LinearHead | nn.Module", task: Task) -> Outputs:
    """The same function as the exported graphs, computed by torch."""
    import torch

    backbone = backbone.eval().cpu()
    head_module = _module(head).eval().cpu()

    def outputs(rows: Sequence[Any]) -> Array:
        batch = {name: torch.from_numpy(array) for name, array in task.encode(rows).items()}
        with torch.no_grad():
            result: Array = head_module(backbone(**batch)).numpy()
        return result

    return outputs


def plain_outputs(path: Path, head: "LinearHead | nn.Module", task: Task) -> Outputs:
    """The backbone of a source without a torch module: its graph as it is, nothing of it optimised,
    a row at a time; then the head by torch."""
    import onnxruntime
    import torch

    options = session_options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=CPU)
    names = [tensor.name for tensor in session.get_inputs()]
    head_module = _module(head).eval().cpu()

    def one(row: Any) -> Array:
        batch = task.encode([row])
        (features,) = session.run(None, {name: batch[name] for name in names})
        with torch.no_grad():
            found: Array = head_module(torch.from_numpy(features)).numpy()
        return found

    return lambda rows: joined_rows([one(row) for row in rows])


def _module(head: "LinearHead | nn.Module") -> "nn.Module":
    import torch
    from torch import nn

    if not isinstance(head, LinearHead):
        return head
    classes, size = head.weight.shape
    linear = nn.Linear(size, classes)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(head.weight))
        linear.bias.copy_(torch.from_numpy(head.bias))
    return nn.Sequential(linear, nn.Softmax(dim=-1))


def check_parity(reference: Outputs, exported: Outputs, rows: Sequence[Any], most: int) -> Parity:
    """Compare on real rows in batches of 1, 2 and `most`; RunFailedError beyond the tolerance."""
    pairs = [
        (reference(batch), exported(batch))
        for size in (1, 2, most)
        for batch in _batches(rows, size)
    ]
    expected, found = (joined_rows([pair[side] for pair in pairs]) for side in (0, 1))
    parity = Parity(
        float(np.abs(expected - found).max()),
        _agreement(expected, found),
        len(rows),
        (1, 2, most),
    )
    close = parity.max_abs_diff <= TOLERANCE  # False for NaN
    if not close or parity.argmax_agreement < 1:
        raise RunFailedError(
            f"The exported model differs from the trained one by {parity.max_abs_diff:.2g} "
            f"(allowed {TOLERANCE:g}) and agrees on {parity.argmax_agreement:.1%} of "
            f"{parity.rows} rows (all must): it is not published."
        )
    return parity


def _agreement(expected: Array, found: Array) -> float:
    """The share of rows, or of the steps or pixels of sequences and maps, whose best output is the
    same. Of the many pixels those whose two best are as near as the tolerance are left out."""
    axis = 1 if expected.ndim == 4 else -1  # classes are the channels of a map
    same = expected.argmax(axis) == found.argmax(axis)
    if expected.ndim > 2:
        best = np.partition(expected, -2, axis).take((-2, -1), axis)
        same = same[np.diff(best, axis=axis).squeeze(axis) > 2 * TOLERANCE]
    return float(same.mean()) if same.size else 1.0


def _batches(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def parity_rows(rows: Sequence[Any], task: Task) -> list[Any]:
    """Real rows of ragged size: evenly spaced from the shortest to the longest."""
    ordered = sorted(rows, key=task.size)
    positions = np.linspace(0, len(ordered) - 1, min(ROWS, len(ordered))).round().astype(int)
    chosen = [ordered[int(i)] for i in positions]
    return [chosen[i] for i in np.random.default_rng(0).permutation(len(chosen))]
