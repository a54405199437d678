"""Requests whose client leaves are given up, and no others."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from regraft.serving.departures import Departures


class Client:
    """The far end of a connection as an ASGI server tells of it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.asked = 0

    def request(self) -> Request:
        async def receive() -> dict[str, Any]:
            self.asked += 1
            await self.gone.wait()
            return {"type": "http.disconnect"}

        return Request({"type": "http", "headers": []}, receive)


async def answered(departures: Departures, client: Client, ready: asyncio.Event) -> str:
    with departures.watched(client.request()):
        await ready.wait()
    return "answer"


def test_a_request_is_given_up_once_its_client_leaves_and_others_are_answered() -> None:
    async def scenario() -> None:
        departures, ready = Departures(0.01), asyncio.Event()
        clients = [Client(), Client()]
        one, other = [asyncio.create_task(answered(departures, c, ready)) for c in clients]
        await asyncio.sleep(0.05)
        assert not one.done()
        clients[0].gone.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(one), 1)
        ready.set()
        assert await asyncio.wait_for(other, 1) == "answer"
        assert departures.looking is not None
        await asyncio.wait_for(departures.looking, 1)

    asyncio.run(scenario())


def test_a_hundred_that_leave_at_once_are_given_up_within_a_second() -> None:
    async def scenario() -> None:
        departures, ready = Departures(), asyncio.Event()
        clients = [Client() for _ in range(100)]
        asked = [asyncio.create_task(answered(departures, c, ready)) for c in clients]
        await asyncio.sleep(0.05)
        for client in clients:
            client.gone.set()
        ended = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 1)
        assert [type(one) for one in ended] == [asyncio.CancelledError] * 100
        assert not departures.asked

    asyncio.run(scenario())


def test_who_was_answered_is_not_asked_about() -> None:
    async def scenario() -> None:
        departures, ready, client = Departures(0.01), asyncio.Event(), Client()
        ready.set()
        assert await answered(departures, client, ready) == "answer"
        client.gone.set()
        await asyncio.sleep(0.05)
        assert client.asked == 0
        ready.clear()
        other = asyncio.create_task(answered(departures, Client(), ready))
        await asyncio.sleep(0.05)
        ready.set()
        assert await other == "answer", "the first one's leaving is nothing to it"

    asyncio.run(scenario())
