"""Every request has an id: in its answer, and in the lines that are logged meanwhile."""

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regraft.logs import REQUEST, request_id

HEADER = "X-Request-Id"


@dataclass
class Identified:
    """The application, for requests that are given an id, or keep the one that they came with."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identifier = request_id(Headers(scope=scope).get(HEADER))

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = identifier
            await send(message)

        mark = REQUEST.set(identifier)
        try:
            await self.app(scope, receive, told)
        finally:
            REQUEST.reset(mark)
