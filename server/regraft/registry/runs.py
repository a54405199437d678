"""Adaptations and their events, as rows."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from regraft.domain import JSON, Adaptation, AdaptationSpec, Event, State
from regraft.errors import ConflictError, QuotaError, UnknownNameError
from regraft.identity.caller import DEFAULT_PROJECT, EVERYTHING, View
from regraft.registry.owners import claim
from regraft.registry.paging import WHOLE, Order, Page, Window
from regraft.registry.schema import adaptations, aware, events, reader

MOST_INTERRUPTED = 4
"""The last time that what ends its process or its server ends a run too: it may be the cause."""
NEWEST = Order((adaptations.c.submitted, adaptations.c.id), descending=True)
OPEN = [str(state) for state in State if not state.final]


class RunRegistry:
    """The states of adaptations: submitted → running → succeeded, failed or cancelled."""

    def __init__(self, engine: Engine, view: View = EVERYTHING) -> None:
        self.engine = engine
        self.view = view
        self.reading = reader(engine)

    def submit(
        self,
        spec: AdaptationSpec,
        key: str | None = None,
        on_server: bool = False,
        most: int | None = None,
    ) -> tuple[Adaptation, bool]:
        """A new adaptation, or the one that this idempotency key made; whether it is new.

        ConflictError if the name is another project's, QuotaError if `most` of the project's wait
        or run already.
        """
        key = key and _own_key(key, self.view)
        row = {
            "id": f"a-{secrets.token_hex(6)}",
            "spec": spec.model_dump(mode="json"),
            "state": str(State.SUBMITTED),
            "submitted": datetime.now(UTC),
            "idempotency_key": key,
            "cancel": False,
            "on_server": on_server,
        }
        try:
            with self.engine.begin() as connection:
                project = claim(connection, spec.name, self.view)
                connection.execute(insert(adaptations).values(**row, project=project))
                # After that a request that is repeated has found its first try.
                _check_quota(connection, project, most)
        except IntegrityError:
            return self._earlier(spec, key), False
        return self.get(str(row["id"])), True

    def _earlier(self, spec: AdaptationSpec, key: str | None) -> Adaptation:
        query = select(adaptations).where(adaptations.c.idempotency_key == key)
        with self.reading.begin() as connection:
            earlier = _adaptation(connection.execute(query).one())
        if earlier.spec != spec:
            raise ConflictError(
                f"The Idempotency-Key was already used for another request ({earlier.id})."
            )
        return earlier

    def get(self, identifier: str) -> Adaptation:
        query = select(adaptations).where(adaptations.c.id == identifier, self._seen())
        with self.reading.begin() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise UnknownNameError("adaptation", identifier, [a.id for a in self.all()[:5]])
        return _adaptation(row)

    def page(self, window: Window) -> Page[Adaptation]:
        """Adaptations, the newest first."""
        query = select(adaptations).where(self._seen())
        with self.reading.begin() as connection:
            return NEWEST.page(connection, query, window, _adaptation)

    def all(self) -> list[Adaptation]:
        """All adaptations, the newest first."""
        return self.page(WHOLE).items

    def start(self, identifier: str) -> bool:
        """Submitted → running; False when it was cancelled before it began."""
        return self._change(identifier, [str(State.SUBMITTED)], state=str(State.RUNNING))

    def finish(
        self, identifier: str, state: State, reason: str | None = None, result: JSON | None = None
    ) -> bool:
        """To a final state; False when it has one already."""
        return self._change(
            identifier,
            OPEN,
            state=str(state),
            finished=datetime.now(UTC),
            reason=reason,
            result=result,
        )

    def request_cancel(self, identifier: str) -> Adaptation:
        """Ask a run to stop; one that has not begun is cancelled at once."""
        self.get(identifier)
        self._change(identifier, OPEN, cancel=True)
        ended = {"state": str(State.CANCELLED), "finished": datetime.now(UTC)}
        if self._change(identifier, [str(State.SUBMITTED)], **ended):
            self.record(identifier, str(State.CANCELLED), {"reason": "cancelled", "status": 409})
        return self.get(identifier)

    def fail(self, identifier: str, reason: str) -> bool:
        """End a run whose own process cannot; False when it has ended already."""
        failed = self.finish(identifier, State.FAILED, reason)
        if failed:
            self.record(identifier, str(State.FAILED), {"reason": reason, "status": 500})
        return failed

    def unfinished(self) -> list[Adaptation]:
        """What servers were given and is not at its end, the oldest first."""
        query = (
            select(adaptations)
            .where(adaptations.c.on_server, adaptations.c.state.in_(OPEN), self._seen())
            .order_by(adaptations.c.submitted, adaptations.c.id)
        )
        with self.reading.begin() as connection:
            return [_adaptation(row) for row in connection.execute(query)]

    def interrupt(self, run: Adaptation, what: str) -> None:
        """Let a run that something ended wait for its turn again, to go on from its last
        checkpoint; one that was interrupted too often fails, for the reason that is told. Nothing
        happens if it was interrupted since it was seen so."""
        times = run.interrupted + 1
        if self.get(run.id).interrupted != run.interrupted:
            return
        if times >= MOST_INTERRUPTED:
            self.fail(run.id, f"{what}, for the {times}th time.")
        elif self._change(run.id, OPEN, state=str(State.SUBMITTED), interrupted=times):
            self.record(run.id, "interrupted", {"times": times, "reason": f"{what}."})

    def cancel_requested(self, identifier: str) -> bool:
        query = select(adaptations.c.cancel).where(adaptations.c.id == identifier)
        with self.reading.begin() as connection:
            return bool(connection.scalar(query))

    def record(self, identifier: str, kind: str, data: JSON) -> Event:
        """Append an event."""
        now = datetime.now(UTC)
        with self.engine.begin() as connection:
            last = connection.scalar(
                select(func.max(events.c.number)).where(events.c.adaptation == identifier)
            )
            number = (last or 0) + 1
            connection.execute(
                insert(events).values(
                    adaptation=identifier, number=number, time=now, kind=kind, data=data
                )
            )
        return Event(number, now, kind, data)

    def events(self, identifier: str, after: int = 0) -> list[Event]:
        """The events numbered above `after`, in order."""
        query = (
            select(events)
            .where(events.c.adaptation == identifier, events.c.number > after)
            .order_by(events.c.number)
        )
        with self.reading.begin() as connection:
            return [
                Event(row.number, aware(row.time), row.kind, row.data)
                for row in connection.execute(query)
            ]

    def _seen(self) -> ColumnElement[bool]:
        if self.view.everywhere:
            return true()
        return adaptations.c.project == self.view.project

    def _change(self, identifier: str, states: list[str], **values: Any) -> bool:
        statement = (
            update(adaptations)
            .where(adaptations.c.id == identifier, adaptations.c.state.in_(states))
            .values(**values)
        )
        with self.engine.begin() as connection:
            return connection.execute(statement).rowcount == 1


def _check_quota(connection: Connection, project: str, most: int | None) -> None:
    mine = adaptations.c.project == project, adaptations.c.state.in_(OPEN)
    count = connection.scalar(select(func.count()).where(*mine)) or 0
    if most is not None and count > most:
        raise QuotaError(
            f"Project '{project}' has {most} adaptations that wait or run, as many as it may have. "
            "Wait for one to end, or cancel one.",
            retry_after=30,
        )


def _own_key(key: str, view: View) -> str:
    """A project's keys are its own: two of them may choose the same."""
    if view.project == DEFAULT_PROJECT:
        return key
    return hashlib.sha256(f"{view.project} {key}".encode()).hexdigest()


def _adaptation(row: "Row[Any]") -> Adaptation:
    return Adaptation(
        id=row.id,
        spec=AdaptationSpec.model_validate(row.spec),
        state=State(row.state),
        submitted=aware(row.submitted),
        finished=row.finished and aware(row.finished),
        reason=row.reason,
        result=row.result,
        project=row.project,
        interrupted=row.interrupted,
    )
