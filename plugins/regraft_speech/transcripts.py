"""Transcripts as sequences of symbols: collapsing, comparing, and their likelihood."""

from collections.abc import Sequence
from typing import Any

import numpy as np

BLANK = 0
LEAST = 1e-30


def collapse(symbols: Any) -> list[int]:
    """The symbols without repetitions, then without blanks (Graves et al. 2006, 3.1)."""
    kept = np.append(True, symbols[1:] != symbols[:-1]) & (symbols != BLANK)
    return [int(symbol) for symbol in symbols[kept]]


def edit_distance(found: Sequence[Any], wanted: Sequence[Any]) -> int:
    """How many insertions, deletions and substitutions lead from one to the other."""
    distances = list(range(len(wanted) + 1))
    for row, item in enumerate(found, 1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(wanted, 1):
            change = diagonal + (item != other)
            diagonal = distances[column]
            distances[column] = min(change, diagonal + 1, distances[column - 1] + 1)
    return distances[-1]


def one_hot(targets: Any, symbols: int) -> Any:
    """Outputs [N, 2 L, symbols] that say each target without doubt, a blank after each symbol."""
    outputs = np.zeros((len(targets), 2 * targets.shape[1], symbols), np.float32)
    spaced = np.full(outputs.shape[:2], BLANK)
    spaced[:, ::2] = np.where((targets < 0) | (targets >= symbols), BLANK, targets)
    np.put_along_axis(outputs, spaced[..., None], 1, -1)
    return outputs


def ctc_loss(outputs: Any, targets: Any) -> float:
    """The mean of -log P(target) by the length of the target, of probabilities [N, T, symbols]
    (Graves et al. 2006, equation 8). Steps that are all zero are padding: blank. An impossible
    target counts as what is just possible."""
    losses = []
    outputs = outputs.copy()
    outputs[..., BLANK] += outputs.sum(-1) == 0
    for probabilities, target in zip(outputs, targets, strict=True):
        symbols = target[target >= 0]
        losses.append(-_log_likelihood(probabilities, symbols) / max(1, len(symbols)))
    return float(np.mean(losses))


def _log_likelihood(probabilities: Any, symbols: Any) -> float:
    path = np.full(2 * len(symbols) + 1, BLANK)
    path[1::2] = symbols
    skips = np.append([False, False], (path[2:] != path[:-2]) & (path[2:] != BLANK))
    known = np.log(np.maximum(probabilities[:, path], LEAST))
    state = np.full(len(path), -np.inf)
    state[:2] = known[0, :2]
    for step in known[1:]:
        before = np.append(-np.inf, state[:-1])
        jumped = np.where(skips, np.append([-np.inf, -np.inf], state[:-2])[: len(path)], -np.inf)
        state = np.logaddexp(np.logaddexp(state, before), jumped) + step
    return float(max(np.logaddexp.reduce(state[-2:]), np.log(LEAST) * len(path)))
