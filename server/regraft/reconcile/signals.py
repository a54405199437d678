"""Being asked to stop: SIGTERM and Ctrl-C end a server the same way, at any time."""

import signal
import time
from typing import Any, NoReturn

ASKING = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals() -> None:
    """The first signal raises KeyboardInterrupt in the main thread; while that is dealt with, more
    are ignored. Called again after Ray has started, since Ray installs handlers of its own."""
    for number in ASKING:
        signal.signal(number, _stop)


def _stop(*_: Any) -> NoReturn:
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def wait_for_signal() -> NoReturn:
    """Sleep until KeyboardInterrupt."""
    while True:
        time.sleep(3600)
