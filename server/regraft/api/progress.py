"""The progress of one adaptation as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi.concurrency import run_in_threadpool

from regraft.api.rendering import one_line
from regraft.domain import Adaptation, Event, State
from regraft.registry.runs import RunRegistry

COMMENT = ":\n\n"
FINAL = frozenset(str(state) for state in State if state.final)


@dataclass(frozen=True)
class Pace:
    """Seconds between looks, of silence before a sign of life, and from a run's end to its last
    event: a run first becomes final and then records it, or never if it was not started."""

    poll: float = 0.25
    heartbeat: float = 10.0
    last_event: float = 2.0


@dataclass(frozen=True)
class RunProgress:
    """The events of one adaptation numbered above `after`."""

    runs: RunRegistry
    identifier: str
    after: int
    pace: Pace = Pace()

    def exhausted(self) -> bool:
        """Whether no event will ever come; UnknownNameError if there is no such adaptation."""
        run = self.runs.get(self.identifier)
        return self._settled(run) and not self.runs.events(self.identifier, self.after)

    async def stream(self) -> AsyncIterator[str]:
        """The text of the stream. A comment now and then shows that it lives."""
        after, spoke = self.after, time.monotonic()
        yield COMMENT
        while True:
            events, settled = await run_in_threadpool(self._look, after)
            for event in events:
                after, spoke = event.number, time.monotonic()
                yield _text(event)
            if settled or any(event.kind in FINAL for event in events):
                return
            if time.monotonic() - spoke >= self.pace.heartbeat:
                spoke = time.monotonic()
                yield COMMENT
            await asyncio.sleep(self.pace.poll)

    def _look(self, after: int) -> tuple[list[Event], bool]:
        """New events, and whether there will be no more; the state is read before the events."""
        settled = self._settled(self.runs.get(self.identifier))
        return self.runs.events(self.identifier, after), settled

    def _settled(self, run: Adaptation) -> bool:
        if run.finished is None:
            return False
        return (datetime.now(UTC) - run.finished).total_seconds() > self.pace.last_event


def _text(event: Event) -> str:
    return f"id: {event.number}\nevent: {event.kind}\ndata: {one_line(event.data)}\n\n"
