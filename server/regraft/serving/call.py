"""One prediction request while it is answered, and the record that is left of it."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect

from regraft.contract import Array, Arrays
from regraft.errors import InvalidInputError, RegraftError
from regraft.logs import REQUEST, request_id
from regraft.serving.predictor import Predictor
from regraft.serving.rollout import Served
from regraft.serving.telemetry import RequestRecord, Telemetry, Told
from regraft.serving.traces import Trace
from regraft.serving.waiting import Batches

log = logging.getLogger("regraft.serving")

CLIENT_CLOSED = 499


@dataclass
class Call:
    """What is known of a request so far; `status` is 0 until it is known how it ended."""

    id: str
    begin: float = field(default_factory=time.perf_counter)
    version: str = ""
    rows: int = 0
    status: int = 0
    told: Told | None = None
    cached: bool | None = None
    """Whether the answer was known already; None where none is kept."""
    lookup: float = 0.0
    deadline: float | None = None
    """When the client waits no longer, as `time.perf_counter` tells it."""
    batches: Batches | None = None
    """Those that its rows were in, where it is traced."""

    def choose(self, served: Served, version: str | None) -> Predictor:
        """The version that answers, which the record is to name."""
        predictor = served.choose(self.id, version)
        self.version = str(predictor.version)
        return predictor


@contextmanager
def recorded(
    telemetry: Telemetry,
    name: Callable[[], str],
    identifier: str | None,
    trace: Trace | None = None,
) -> Iterator[Call]:
    """A call whose record is told at its end, whatever becomes of it, under the name that the
    endpoint has then."""
    call = Call(request_id(identifier), batches=None if trace is None else [])
    mark = REQUEST.set(call.id)
    try:
        yield call
        call.status = call.status or 200
    except RegraftError as error:
        call.status = status_of(error)
        raise
    except (ClientDisconnect, asyncio.CancelledError):
        call.status = CLIENT_CLOSED
        raise
    finally:
        REQUEST.reset(mark)
        seconds = time.perf_counter() - call.begin
        if trace is not None:
            trace.end(call, name())
        telemetry.request(
            RequestRecord(
                name=name(),
                version=call.version,
                rows=call.rows,
                status=call.status or 500,
                seconds=seconds,
                id=call.id,
                told=call.told,
                cached=call.cached,
                lookup=call.lookup,
            )
        )


def logged(error: BaseException) -> str:
    """The id under which an error that nobody foresaw is logged: nothing else of it is told."""
    identifier = secrets.token_hex(4)
    log.error("internal error %s", identifier, exc_info=error)
    return identifier


def status_of(error: RegraftError) -> int:
    """The protocol says 400 for every request that is wrong in itself."""
    wrong = isinstance(error, InvalidInputError) and error.status == 422
    return 400 if wrong else error.status


def told(predictor: Predictor, tensors: Arrays) -> Told | None:
    """The one text a row that a version answers with, and how sure it is; None if it has none."""
    text = predictor.text
    return None if text is None else Told(tensors[text], tensors.get("score"))


def agreement(one: Arrays, other: Arrays) -> Array:
    """How much of each row's first answer is the same in both, from 0 to 1 [B]."""
    name = next(iter(one))
    same: Array = one[name] == other[name]
    shares: Array = same.reshape(len(same), -1).mean(1)
    return shares
