"""The actor between the workers and the driver: progress one way, the wish to stop the other."""

from regraft.domain import JSON


class Mailbox:
    """Holds events until the driver collects them. Plain Python; made an actor by the trainer."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSON]] = []
        self._outcome: JSON | None = None
        self._cancelled = False

    def put(self, events: list[tuple[str, JSON]]) -> bool:
        """Called by a worker; whether it should stop."""
        self._events += events
        return self._cancelled

    def collect(self, cancelled: bool) -> list[tuple[str, JSON]]:
        """Called by the driver, which also says whether the run was cancelled."""
        self._cancelled = self._cancelled or cancelled
        events, self._events = self._events, []
        return events

    def finish(self, outcome: JSON) -> None:
        self._outcome = outcome

    def outcome(self) -> JSON | None:
        return self._outcome
