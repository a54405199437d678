"""How training ended, and whether that leaves a model."""

from regraft.domain import JSON
from regraft.errors import CancelledRunError, NoTimeError, RunFailedError

TOO_LONG = "training would take longer than the time that it was given"


def validated(outcome: JSON | None, whole: bool = False) -> JSON:
    """The metrics of a run that leaves a model; the error that says why it left none."""
    if outcome is None:
        raise RunFailedError("Training ended without a result.")
    if whole and outcome["state"] in ("expired", "unstarted"):
        raise RunFailedError(TOO_LONG)
    if outcome["state"] == "cancelled":
        raise CancelledRunError("The adaptation was cancelled.")
    if outcome["state"] == "unstarted":
        raise NoTimeError(
            "The budget was spent before training began, so there is no model yet. "
            "Give more, or take a strategy that freezes the backbone, such as linear-probe."
        )
    if outcome["state"] == "diverged":
        raise RunFailedError(
            f"diverged: the gradient was not finite in epoch {outcome['epochs'] + 1}. "
            "Try a smaller learning rate: --option learning_rate=1e-5."
        )
    return dict(outcome["validation"])
