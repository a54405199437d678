"""What was submitted to a server waits here for its turn."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

from regraft.domain import Adaptation, State
from regraft.registry.runs import RunRegistry

log = logging.getLogger("regraft.adaptations")

Launch = Callable[[str], None]


class Queue:
    """Starts adaptations by `launch`, `most` at a time: next is always one of the project that has
    the fewest at work, its oldest first. What waits is in the registry, so that another server can
    go on with it."""

    def __init__(self, runs: RunRegistry, launch: Launch, most: int) -> None:
        self.runs = runs
        self.launch = launch
        self.most = most
        self.launched: set[str] = set()
        self.told: set[str] = set()
        self.lock = threading.Lock()

    def step(self) -> None:
        """Start what there is room for, and tell what is not started what it waits for."""
        with self.lock:
            waiting, working = self._look()
            while waiting and working.total() < self.most:
                # min takes the first of several, and they are in the order of their submission.
                chosen = min(waiting, key=lambda run: working[run.project])
                waiting.remove(chosen)
                working[chosen.project] += self._start(chosen)
            for run in waiting:
                self._tell(run, working.total())

    def _look(self) -> tuple[list[Adaptation], Counter[str]]:
        """Those that wait, and how many of each project are at work."""
        found = self.runs.unfinished()
        self.launched &= {run.id for run in found}
        self.told &= {run.id for run in found}
        at_work = [r for r in found if r.state == State.RUNNING or r.id in self.launched]
        waiting = [r for r in found if r not in at_work]
        return waiting, Counter(run.project for run in at_work)

    def _start(self, run: Adaptation) -> bool:
        try:
            self.launch(run.id)
        except Exception:
            # Whatever Ray has: nobody will ever run it, and whoever follows it must hear that.
            log.exception("adaptation %s cannot be started", run.id)
            self.runs.fail(run.id, "The server could not start the run.")
            return False
        self.launched.add(run.id)
        return True

    def _tell(self, run: Adaptation, working: int) -> None:
        if run.id not in self.told:
            self.told.add(run.id)
            self.runs.record(run.id, "queued", {"working": working, "most": self.most})
