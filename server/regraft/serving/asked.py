"""A prediction that is asked for, and the reply, whichever way they take over HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from regraft.errors import OverloadedError, RegraftError, UnauthorizedError
from regraft.identity.authenticator import CHALLENGE
from regraft.identity.caller import Caller
from regraft.serving.aside import aside
from regraft.serving.call import CLIENT_CLOSED, Call, logged, status_of
from regraft.serving.protocol import InferResponse, compressed, error_body

REQUEST_ID = "x-request-id"


@dataclass(frozen=True)
class Asked:
    """What a request's path and headers say, whose names are in lower case; `read` is for its whole
    body, decoded. The task that answers is cancelled inside `watched` once its client leaves."""

    name: str
    version: str | None
    headers: Mapping[str, str]
    caller: Caller
    read: Callable[[], Awaitable[bytes]]
    watched: Callable[[], AbstractContextManager[None]]


Predicting = Callable[[Asked, Call], Awaitable[InferResponse]]


@dataclass(frozen=True)
class Reply:
    """The status, headers and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def response(self) -> Response:
        return Response(self.body, self.status, self.headers)

    async def compressed(self, accepted: str | None) -> "Reply":
        """As the client accepts it; a compressed body has another length, and another meaning for
        caches."""
        if accepted is None:
            return self
        body, encoding = await aside(len(self.body), lambda: compressed(self.body, accepted))
        if encoding is None:
            return self
        more = {"content-encoding": encoding, "vary": "Accept-Encoding"}
        return Reply(self.status, {**self.headers, **more}, body)


def refused(error: RegraftError) -> Reply:
    """An error of ours as the protocol wants it."""
    headers = {"content-type": "application/json"}
    if isinstance(error, UnauthorizedError):
        headers |= CHALLENGE
    if isinstance(error, OverloadedError):
        headers["retry-after"] = str(error.retry_after)
    return Reply(status_of(error), headers, error_body(str(error)))


def failed(error: Exception) -> Reply:
    """An error that nobody foresaw: a model may raise anything."""
    if isinstance(error, ClientDisconnect):
        return Reply(CLIENT_CLOSED, {})
    body = error_body(f"Internal error {logged(error)}.")
    return Reply(500, {"content-type": "application/json"}, body)
