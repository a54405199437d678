"""Follows a run to its end, however often the connection drops."""

import time
from collections.abc import Callable, Iterator

from regraft.client.connection import Connection
from regraft.client.event_stream import ServerEvent
from regraft.domain import JSON, State
from regraft.errors import RegraftError

RUNS = "/v1/adaptations"
# What a proxy answers while the server behind it restarts.
PASSING = frozenset({502, 503, 504})
PAUSE = 0.5
PATIENCE = 60.0


def follow(connection: Connection, identifier: str) -> Iterator[ServerEvent]:
    """Every event once, in order, until the run is final.

    A lost server is awaited for a minute; then UnreachableError or RemoteError is raised.
    """
    last, heard = 0, time.monotonic()
    while True:
        try:
            for event in connection.events(f"{RUNS}/{identifier}/events", last):
                heard = time.monotonic()
                if event is not None:
                    last = event.number
                    yield event
            if is_final(connection.ask("GET", f"{RUNS}/{identifier}")):
                return
        except RegraftError as error:
            if error.status not in PASSING or time.monotonic() - heard > PATIENCE:
                raise
        time.sleep(PAUSE)


def is_final(run: JSON) -> bool:
    return State(run["state"]).final


def persist(request: Callable[[], JSON], pauses: tuple[float, ...] = (0.2, 0.5, 1, 2)) -> JSON:
    """The answer to a request that may be repeated, after some tries if the server is away."""
    for pause in pauses:
        try:
            return request()
        except RegraftError as error:
            if error.status not in PASSING:
                raise
        time.sleep(pause)
    return request()
