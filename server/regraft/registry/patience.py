"""Hours of work are not lost because the database was away for a minute."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import OperationalError

log = logging.getLogger("regraft.registry")

Answer = TypeVar("Answer")

PATIENCE = 600.0
PAUSE = 2.0
"""Seconds."""


def patiently(
    ask: Callable[[], Answer], patience: float = PATIENCE, pause: float = PAUSE
) -> Answer:
    """What the database answers, asked again while it does not; then its OperationalError."""
    end = time.monotonic() + patience
    while True:
        try:
            return ask()
        except OperationalError as error:
            if time.monotonic() + pause > end:
                raise
            log.warning("the database does not answer, asking again: %s", error.orig)
            time.sleep(pause)
