"""What clients send is bounded, each and all together."""

import asyncio
import gzip
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from regraft.errors import OverloadedError, RegraftError, TooLargeError, TooSlowError
from regraft.serving.body import ABREAST, Bodies
from regraft.serving.protocol import DEFLATED

LIMIT = 1_000


class Client:
    """Sends chunks; each when it is allowed to go on."""

    def __init__(self, *chunks: bytes, **headers: str) -> None:
        self.chunks = list(chunks)
        self.headers = [
            (name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()
        ]
        self.sent = 0
        self.on = asyncio.Event()

    def request(self) -> Request:
        async def receive() -> dict[str, Any]:
            await self.on.wait()
            chunk, self.sent = self.chunks[self.sent], self.sent + 1
            if self.sent < len(self.chunks):
                self.on.clear()
            return {
                "type": "http.request",
                "body": chunk,
                "more_body": self.sent < len(self.chunks),
            }

        return Request({"type": "http", "headers": self.headers}, receive)


def read(bodies: Bodies, *chunks: bytes, **headers: str) -> bytes:
    async def scenario() -> bytes:
        client = Client(b"".join(chunks), **headers)
        client.on.set()
        return await bodies.read(client.request())

    return asyncio.run(scenario())


def refused(call: Callable[[], Any]) -> type[RegraftError]:
    with pytest.raises(RegraftError) as caught:
        call()
    return type(caught.value)


def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    bodies = Bodies(LIMIT)
    assert read(bodies, b"a" * LIMIT) == b"a" * LIMIT
    assert refused(lambda: read(bodies, b"a" * (LIMIT + 1))) is TooLargeError
    packed = {"content_encoding": "gzip"}
    assert read(bodies, gzip.compress(b"a" * LIMIT), **packed) == b"a" * LIMIT
    assert (
        refused(lambda: read(bodies, gzip.compress(b"a" * (LIMIT + 1)), **packed)) is TooLargeError
    )
    assert bodies.room == ABREAST * LIMIT, "nothing of it is still counted"


def test_what_is_announced_too_large_is_not_waited_for() -> None:
    async def scenario() -> None:
        client = Client(b"a", content_length=str(LIMIT + 1))
        with pytest.raises(TooLargeError):
            await asyncio.wait_for(Bodies(LIMIT).read(client.request()), 1)
        assert client.sent == 0

    asyncio.run(scenario())


def test_many_that_are_half_sent_leave_no_room_for_one_more_until_they_go() -> None:
    async def scenario() -> None:
        bodies, clients = Bodies(LIMIT), [Client(b"a" * LIMIT, b"") for _ in range(ABREAST)]
        reading = [asyncio.create_task(bodies.read(client.request())) for client in clients]
        await _let(clients)
        assert bodies.room == 0
        late = Client(b"a")
        late.on.set()
        with pytest.raises(OverloadedError):
            await bodies.read(late.request())
        reading[0].cancel()
        await asyncio.gather(reading[0], return_exceptions=True)
        again = Client(b"a")
        again.on.set()
        assert await bodies.read(again.request()) == b"a"
        await _let(clients[1:])
        assert await asyncio.gather(*reading[1:]) == [b"a" * LIMIT] * (ABREAST - 1)
        assert bodies.room == ABREAST * LIMIT

    asyncio.run(scenario())


@pytest.mark.parametrize("sent", [0, 1])
def test_who_does_not_send_all_has_so_long(monkeypatch: pytest.MonkeyPatch, sent: int) -> None:
    monkeypatch.setattr("regraft.serving.body.SECONDS", 0.2)

    async def scenario() -> None:
        bodies, client = Bodies(LIMIT), Client(b"a", b"b")
        reading = asyncio.create_task(bodies.read(client.request()))
        await _let([client] * sent)
        with pytest.raises(TooSlowError):
            await asyncio.wait_for(reading, 5)
        assert bodies.room == ABREAST * LIMIT

    asyncio.run(scenario())


def test_who_leaves_while_sending_is_not_taken_for_one_who_sent_all() -> None:
    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def scenario() -> None:
        bodies = Bodies(LIMIT)
        with pytest.raises(ClientDisconnect):
            await bodies.read(Request({"type": "http", "headers": []}, receive))
        assert bodies.room == ABREAST * LIMIT

    asyncio.run(scenario())


def test_many_compressed_bodies_at_once_are_all_taken() -> None:
    """Each could be as large as the limit, and is not."""
    bodies, plain = Bodies(LIMIT), b"ab" * 200
    assert DEFLATED * len(gzip.compress(plain)) > LIMIT

    async def scenario() -> list[bytes]:
        return await asyncio.gather(*(bodies.read(_packed(plain)) for _ in range(4 * ABREAST)))

    assert asyncio.run(scenario()) == [plain] * (4 * ABREAST)
    assert bodies.room == ABREAST * LIMIT


def test_one_is_unpacked_at_a_time_also_where_its_client_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, begun = threading.Event(), []

    def slow(body: bytes, encoding: str, limit: int) -> bytes:
        begun.append(gzip.decompress(body))
        assert gate.wait(10)
        return begun[-1]

    monkeypatch.setattr("regraft.serving.body.decode_content", slow)

    async def scenario() -> None:
        bodies = Bodies(LIMIT)
        tasks = [asyncio.create_task(bodies.read(_packed(text))) for text in (b"1", b"2", b"3")]
        await asyncio.sleep(0.05)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.sleep(0.05)
        assert begun == [b"1"], "its memory is still taken"
        gate.set()
        assert await tasks[2] == b"3"
        assert begun == [b"1", b"3"], "nobody waits for the second any more"
        assert bodies.room == ABREAST * LIMIT

    asyncio.run(scenario())


def _packed(plain: bytes) -> Request:
    client = Client(gzip.compress(plain), content_encoding="gzip")
    client.on.set()
    return client.request()


async def _let(clients: list[Client]) -> None:
    """Send one chunk each."""
    for client in clients:
        client.on.set()
    await asyncio.sleep(0.01)
