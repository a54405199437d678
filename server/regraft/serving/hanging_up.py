"""Clients whose request is refused while they still send it."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regraft.serving.body import Pace

LINGERING, SECONDS = 64 * 2**20, 5.0
"""Bytes, and time, that are still read of who is hung up on."""
SMALL = 2**18
"""Bytes of a body that is read to its end whatever is said of it: that is sooner done than a new
connection."""


class HangingUp:
    """Closes the connection of whom it refuses and who announced much, or did not say how much: it
    might go on sending for ever, all of which somebody had to read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET" or not _sends_much(scope):
            await self.app(scope, receive, send)
            return

        ends = False

        async def answer(message: Message) -> None:
            nonlocal ends
            if message["type"] == "http.response.start":
                ends = message["status"] >= 400
                if ends:
                    headers = [*message.get("headers", ()), (b"connection", b"close")]
                    message = {**message, "headers": headers}
            elif ends and not message.get("more_body"):
                # The answer is whole by its length, and the connection stays for a while.
                await send({**message, "more_body": True})
                await _linger(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, receive, answer)


async def _linger(receive: Receive) -> None:
    """Read a little more: of a connection that is closed at once clients that send first and read
    then find no answer (RFC 9112, 9.6)."""
    left, pace = LINGERING, Pace()
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body"):
                    return
                left -= (count := len(message.get("body", b"")))
                await pace.after(count)


def _sends_much(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    return b"transfer-encoding" in headers or not length.isdigit() or int(length) > SMALL
