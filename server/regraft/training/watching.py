"""Waiting for Ray's own `fit` while somebody may want it to end."""

import threading
import time
from collections.abc import Callable
from typing import Any

from regraft.errors import CancelledRunError

POLL_SECONDS = 0.2
CANCEL_SECONDS = 10.0
"""How long those who train have to notice that all is cancelled."""


def watched(
    fit: Callable[[], Any], cancelled: Callable[[], bool], tick: Callable[[bool], None]
) -> Any:
    """What `fit` gives; it runs in a thread of its own, so that Ray leaves Ctrl-C to us.

    `tick` is called all along, and told whether those who train are to stop.
    """
    ended, outcome = threading.Event(), _Outcome()

    def run() -> None:
        try:
            outcome.value = fit()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            outcome.failure = error
        finally:
            ended.set()

    threading.Thread(target=run, name="ray-fit", daemon=True).start()
    asked: float | None = None
    while not ended.is_set():
        # Not Thread.join: interrupted, Python 3.11's takes the thread for dead.
        try:
            ended.wait(POLL_SECONDS)
            if asked is None and cancelled():
                asked = time.monotonic()
            tick(asked is not None)
        except KeyboardInterrupt:
            asked = asked or time.monotonic()
        if asked is not None and time.monotonic() - asked > CANCEL_SECONDS:
            # Those that wait for processors, or hang, hear nothing.
            raise CancelledRunError("The adaptation was cancelled.")
    tick(asked is not None)
    if outcome.failure is not None:
        raise outcome.failure
    return outcome.value


class _Outcome:
    value: Any = None
    failure: BaseException | None = None
