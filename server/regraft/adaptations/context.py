"""What the stages of one running adaptation share: where to read and write, whom to tell."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from regraft.domain import Adaptation, Event
from regraft.errors import CancelledRunError
from regraft.plugins import Plugins
from regraft.registry.patience import patiently
from regraft.registry.store import Registry
from regraft.settings import Settings


@dataclass
class Context:
    """One run. `listen` hears every event; `stop` says whether somebody wants it to end."""

    adaptation: Adaptation
    registry: Registry
    plugins: Plugins
    settings: Settings
    listen: Callable[[Event], None] = lambda event: None
    stop: Callable[[], bool] = lambda: False
    seconds: dict[str, float] = field(default_factory=dict)
    recorded: bool = True
    """Whether the registry knows of the run; else it is one of those that leave no trace there."""
    began: float = field(default_factory=time.time)

    @property
    def deadline(self) -> float | None:
        """When training must end, in seconds as `time.time` counts them, if there is a budget."""
        budget = self.adaptation.spec.budget
        return None if budget is None else self.began + budget

    def report(self, kind: str, data: dict[str, Any]) -> None:
        """Record an event and tell everybody."""
        if not self.recorded:
            self.listen(Event(0, datetime.now(UTC), kind, data))
            return
        event = patiently(lambda: self.registry.runs.record(self.adaptation.id, kind, data))
        self.listen(event)
        self.plugins.notify("adaptation_reported", self.adaptation, event)

    def cancelled(self) -> bool:
        if not self.recorded:
            return self.stop()
        asked = self.registry.runs.cancel_requested
        return self.stop() or patiently(lambda: asked(self.adaptation.id))

    def aside(self) -> "Context":
        """The same run, for work whose stages are counted as one of this one's."""
        return replace(self, seconds={})

    def cancel(self) -> None:
        """Let all who work on this run, in whatever process, find it cancelled."""
        self.registry.runs.request_cancel(self.adaptation.id)

    def check_cancelled(self) -> None:
        if self.cancelled():
            raise CancelledRunError("The adaptation was cancelled.")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; stages of one name add up."""
        self.check_cancelled()
        self.report("stage", {"name": name})
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
