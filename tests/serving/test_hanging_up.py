"""Who is refused and still has much to send is hung up on; nobody else is."""

import asyncio
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message

from regraft.serving.hanging_up import LINGERING, SMALL, HangingUp

CHUNKED = (b"transfer-encoding", b"chunked")


def length(count: int) -> tuple[bytes, bytes]:
    return b"content-length", str(count).encode()


def answered(status: int, method: str, *headers: tuple[bytes, bytes]) -> list[Any]:
    """The headers of an answer with this status."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": method, "path": "/", "headers": list(headers)}
    asyncio.run(HangingUp(Response(status_code=status))(scope, receive, send))
    return list(sent[0]["headers"])


@pytest.mark.parametrize("header", [CHUNKED, length(SMALL + 1), length(2**40)])
@pytest.mark.parametrize("status", [401, 404, 408, 413, 503])
def test_who_has_much_left_to_send_is_hung_up_on(header: Any, status: int) -> None:
    assert (b"connection", b"close") in answered(status, "POST", header)


@pytest.mark.parametrize(
    ("status", "method", "header"),
    [
        (200, "POST", CHUNKED),
        (200, "POST", length(SMALL + 1)),
        (413, "POST", length(SMALL)),
        (404, "GET", length(0)),
        (404, "POST", (b"accept", b"*/*")),
    ],
)
def test_others_keep_their_connection(status: int, method: str, header: Any) -> None:
    assert (b"connection", b"close") not in answered(status, method, header)


def test_the_answer_is_whole_before_more_is_read_and_that_has_an_end() -> None:
    told: list[Any] = []

    async def send(message: Message) -> None:
        told.append(message.get("body", b"start"))

    async def receive() -> Message:
        told.append("read")
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [CHUNKED]}
    asyncio.run(HangingUp(Response("too large", 413))(scope, receive, send))
    assert told == [b"start", b"too large", *["read"] * (LINGERING // 2**20), b""]
