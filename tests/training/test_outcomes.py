"""What is said of a run of Ray Train by how it ended."""

from typing import Any

import pytest

from regraft.errors import CancelledRunError, RunFailedError
from regraft.training.outcomes import validated


def ended(state: str) -> dict[str, Any]:
    return {"state": state, "epochs": 2, "validation": {"accuracy": 0.5}}


@pytest.mark.parametrize("state", ["finished", "expired"])
def test_a_run_that_leaves_a_model_gives_its_metrics(state: str) -> None:
    assert validated(ended(state)) == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("outcome", "error", "reason"),
    [
        (None, RunFailedError, "without a result"),
        (ended("cancelled"), CancelledRunError, "was cancelled"),
        (ended("diverged"), RunFailedError, r"not finite in epoch 3.*smaller learning rate"),
        (ended("unstarted"), RunFailedError, r"spent before training began.*Give more"),
    ],
)
def test_a_run_that_leaves_none_says_why(outcome: Any, error: type, reason: str) -> None:
    with pytest.raises(error, match=reason):
        validated(outcome)
