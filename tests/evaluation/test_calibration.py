"""Temperature and calibration error, on outputs whose truth is known."""

import numpy as np
import pytest

from regraft.contract import TextInputs
from regraft.evaluation.calibration import (
    calibration_error,
    fit_temperature,
    measured,
    reliability,
)
from regraft_text.classification import TextClassification

THREE = TextClassification(TextInputs((), b"", 8), ["a", "b", "c"])


def drawn(temperature: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Outputs that are too sure by this factor, and classes drawn from what they should say."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, 3)) * 2
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.array([rng.choice(3, p=row) for row in true])
    sharp = np.exp(logits * temperature)
    return sharp / sharp.sum(1, keepdims=True), targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_is_the_factor_by_which_outputs_are_too_sure(temperature: float) -> None:
    outputs, targets = drawn(temperature)
    assert fit_temperature(outputs, targets) == pytest.approx(temperature, rel=0.1)


def test_a_few_right_rows_do_not_ask_for_certainty() -> None:
    outputs = np.tile([0.6, 0.4], (5, 1))
    assert 0.3 < fit_temperature(outputs, np.zeros(5, int)) < 1


def test_corrected_outputs_have_a_smaller_error() -> None:
    outputs, targets = drawn(3.0)
    cooled = outputs ** (1 / 3.0)
    cooled /= cooled.sum(1, keepdims=True)
    assert calibration_error(cooled, targets) < 0.03 < 0.1 < calibration_error(outputs, targets)


def test_error_is_the_gap_between_confidence_and_accuracy() -> None:
    outputs = np.array([[0.9, 0.1]] * 10)
    targets = np.array([0] * 6 + [1] * 4)
    assert calibration_error(outputs, targets) == pytest.approx(0.3)
    (bin_,) = reliability(outputs, targets)
    assert bin_ == {"confidence": pytest.approx(0.9), "accuracy": pytest.approx(0.6), "rows": 10}


def test_full_confidence_falls_into_the_last_bin() -> None:
    assert reliability(np.array([[1.0, 0.0]]), np.array([0]))[0]["rows"] == 1


def test_how_sure_outputs_are_does_not_change_their_calibrated_loss() -> None:
    """It is that of the outputs as they should be; the loss alone is not."""
    fair, targets = drawn(1.0)
    expected = THREE.metrics(fair, targets)["loss"]
    for temperature in (0.5, 3.0):
        metrics = measured(THREE, drawn(temperature)[0], targets)
        assert metrics["calibrated_loss"] == pytest.approx(expected, rel=0.01)
        assert metrics["loss"] > 1.1 * expected
