"""What goes on beside requests, step by step and for ever: endpoints are placed, what replicas
predicted is taken in, and versions that do worse are taken back."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

log = logging.getLogger("regraft.reconcile")

PAUSE = 1.0
HOUR = 3600.0


class Hourly:
    """A step that is done once an hour, first an hour from now."""

    def __init__(self, work: Callable[[], object], clock: Callable[[], float] = time.monotonic):
        self.work = work
        self.clock = clock
        self.done = clock()

    def step(self) -> None:
        if self.clock() - self.done >= HOUR:
            self.done = self.clock()
            self.work()


class Reconciler:
    """Runs its steps in turn in a thread of its own. A step that fails is tried again: what it is
    to bring about is in the registry, and so is how far it got."""

    def __init__(self, steps: Sequence[Callable[[], object]], pause: float = PAUSE) -> None:
        self.steps = steps
        self.pause = pause
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()

    def _run(self) -> None:
        while not self.stopped.wait(self.pause):
            self.run_once()

    def run_once(self) -> None:
        """Each step once, whatever becomes of the others."""
        for step in self.steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - Ray, the database and files all may fail
                log.error("cannot reconcile: %s: %s", type(error).__name__, error)
