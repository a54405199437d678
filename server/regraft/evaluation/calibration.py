"""Whether probabilities are what they say, and the one temperature that makes them so."""

import numpy as np
from scipy.optimize import minimize_scalar

from regraft.contract import Array, Task
from regraft.domain import JSON

BINS = 15
PRIOR = 0.5
"""The deviation of the temperature's logarithm that is thought likely before any row was seen: a
few rows, all of them right, would else ask for infinite confidence."""
LARGEST = 10.0
LEAST = 1e-12


def fit_temperature(outputs: Array, targets: Array) -> float:
    """The temperature T that makes outputs [N, C] ** (1 / T), made to sum to 1, most likely for the
    class indices [N]. Source: Guo et al. 2017, On Calibration of Modern Neural Networks, with a
    log-normal prior around 1."""
    logits = _logits(outputs)

    def surprise(logarithm: float) -> float:
        losses = _log_losses(logits / np.exp(logarithm), targets)
        return float(losses.sum()) + (logarithm / PRIOR) ** 2 / 2

    limit = np.log(LARGEST)
    found = minimize_scalar(surprise, bounds=(-limit, limit), method="bounded")
    return float(np.exp(found.x))


def measured(task: Task, outputs: Array, targets: Array) -> JSON:
    """The task's metrics and, where a temperature may correct the outputs, `calibrated_loss`: the
    mean log loss of these rows after the temperature that they ask for themselves. It compares what
    was trained: too much or too little confidence is mended before anybody is answered."""
    metrics = task.metrics(outputs, targets)
    if not task.calibrates:
        return metrics
    return {**metrics, "calibrated_loss": float(calibrated_losses(outputs, targets).mean())}


def calibrated_losses(outputs: Array, targets: Array) -> Array:
    """The log loss [N] of each row after the temperature that all of them ask for."""
    return _log_losses(_logits(outputs) / fit_temperature(outputs, targets), targets)


def _logits(outputs: Array) -> Array:
    logits: Array = np.log(np.clip(outputs, LEAST, 1))
    return logits


def _log_losses(logits: Array, targets: Array) -> Array:
    top = logits.max(1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(logits - top).sum(1))
    losses: Array = total - logits[np.arange(len(targets)), targets]
    return losses


def calibration_error(outputs: Array, targets: Array) -> float:
    """The expected calibration error: how far confidence and accuracy are apart, over bins of
    confidence weighted by their rows (Naeini et al. 2015)."""
    rows = reliability(outputs, targets)
    return float(
        sum(row["rows"] * abs(row["confidence"] - row["accuracy"]) for row in rows)
        / max(len(targets), 1)
    )


def reliability(outputs: Array, targets: Array) -> list[JSON]:
    """Mean confidence, accuracy and count of the rows in each bin of confidence that has any."""
    confidence, right = outputs.max(1), outputs.argmax(1) == targets
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(right[bins == number].mean()),
            "rows": int((bins == number).sum()),
        }
        for number in np.unique(bins)
    ]
