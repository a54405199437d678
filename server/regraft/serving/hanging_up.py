"""Clients whose request is refused while they still send it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL = 2**18
"""Bytes of a body that is read to its end whatever is said of it: that is sooner done than a new
connection."""


class HangingUp:
    """Closes the connection of whom it refuses and who announced much, or did not say how much: it
    might go on sending for ever, all of which somebody had to read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            refused = message["type"] == "http.response.start" and message["status"] >= 400
            if refused and _sends_much(scope):
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, answer)


def _sends_much(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    return b"transfer-encoding" in headers or not length.isdigit() or int(length) > SMALL
