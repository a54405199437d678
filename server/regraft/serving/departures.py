"""Clients that leave before they are answered."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

LOOK_SECONDS = 0.1


class Departures:
    """Asks now and then of every request that is still being answered whether its client is there,
    and cancels those whose client is gone. Most requests are answered before they are asked about:
    to listen to each client all along, as Ray would, takes three tasks a request. For use on the
    event loop."""

    def __init__(self, seconds: float = LOOK_SECONDS) -> None:
        self.seconds = seconds
        self.asked: dict[asyncio.Task[Any], Request] = {}
        self.looking: asyncio.Task[None] | None = None

    @contextmanager
    def watched(self, request: Request) -> Iterator[None]:
        """Inside, the current task is cancelled if the client leaves; the body must have been read,
        since what the client still sends is dropped."""
        task = asyncio.current_task()
        assert task is not None
        self.asked[task] = request
        if self.looking is None or self.looking.done():
            self.looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            del self.asked[task]

    async def _look(self) -> None:
        """Until nobody waits."""
        while self.asked:
            waiting = list(self.asked)
            await asyncio.sleep(self.seconds)
            for task in waiting:
                request = self.asked.get(task)
                if request is not None and await request.is_disconnected() and task in self.asked:
                    task.cancel()
