"""What was submitted to a server waits here for its turn."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

from regraft.domain import Adaptation, State
from regraft.registry.runs import RunRegistry

log = logging.getLogger("regraft.adaptations")

Launch = Callable[[str], None]
Adopt = Callable[[str], bool]


class Queue:
    """Starts adaptations by `launch`, `most` at a time: next is always one of the project that has
    the fewest at work, its oldest first. What waits is in the registry, so that another server can
    go on with it, and with what this one was at work on, if `adopt` says that it is no more."""

    def __init__(self, runs: RunRegistry, launch: Launch, adopt: Adopt, most: int) -> None:
        self.runs = runs
        self.launch = launch
        self.adopt = adopt
        self.most = most
        self.launched: dict[str, int] = {}
        """What is started or adopted, and how often it had been interrupted by then."""
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
        open_ids = {run.id for run in found}
        self.launched = {k: times for k, times in self.launched.items() if k in open_ids}
        self.told &= open_ids
        for run in found:
            if run.state == State.RUNNING and not self._launched(run):
                self._take_over(run)
        at_work = [r for r in found if r.state == State.RUNNING or self._launched(r)]
        waiting = [r for r in found if r not in at_work]
        return waiting, Counter(run.project for run in at_work)

    def _take_over(self, run: Adaptation) -> None:
        """What another server started is followed from here on, or waits for its turn again, which
        the next step sees."""
        if self.adopt(run.id):
            self.launched[run.id] = run.interrupted
        else:
            self.runs.interrupt(run, "The server that ran it stopped")

    def _launched(self, run: Adaptation) -> bool:
        """Whether it is started, and was not interrupted since."""
        return self.launched.get(run.id) == run.interrupted

    def _start(self, run: Adaptation) -> bool:
        try:
            self.launch(run.id)
        except Exception:
            # Whatever Ray has: nobody will ever run it, and whoever follows it must hear that.
            log.exception("adaptation %s cannot be started", run.id)
            self.runs.fail(run.id, "The server could not start the run.")
            return False
        self.launched[run.id] = run.interrupted
        return True

    def _tell(self, run: Adaptation, working: int) -> None:
        if run.id not in self.told:
            self.told.add(run.id)
            self.runs.record(run.id, "queued", {"working": working, "most": self.most})
