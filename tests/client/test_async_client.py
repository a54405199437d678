"""The client that is awaited."""

import asyncio
import inspect
import threading
import time

import pytest

from regraft.client import AsyncClient, Client, RemoteError
from regraft.domain import State


def test_it_has_every_method_of_the_other():
    def methods(kind):
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in vars(kind).items()
            if inspect.isfunction(method) and not name.startswith("_")
        }

    assert methods(AsyncClient) == methods(Client)


def test_runs_are_followed_side_by_side(server, spec):
    shown = []

    async def scenario():
        async with AsyncClient(server.url) as client:
            show = lambda kind, data: shown.append(kind)  # noqa: E731 - as a user would
            results = await asyncio.gather(*(client.adapt(spec, show=show) for _ in range(3)))
            with pytest.raises(RemoteError, match="Unknown adaptation"):
                await client.adaptation("a-0")
            return results, await client.listing("adaptations")

    results, listed = asyncio.run(scenario())
    assert [result["version"] for result in results] == [1, 1, 1]
    assert shown.count("succeeded") == 3
    assert {row["id"] for row in listed} == {result["id"] for result in results}


def test_who_stops_waiting_cancels_the_run(server, spec):
    begun = threading.Event()

    def until_cancelled(registry, identifier):
        registry.runs.start(identifier)
        begun.set()
        while not registry.runs.cancel_requested(identifier):
            time.sleep(0.05)
        registry.runs.finish(identifier, State.CANCELLED)
        registry.runs.record(identifier, "cancelled", {"reason": "cancelled", "status": 409})

    server.script = until_cancelled

    async def impatient(client):
        """Leaves as soon as the run has begun: it may not have been told the run's name yet."""
        async with asyncio.timeout(60) as limit, asyncio.TaskGroup() as tasks:
            tasks.create_task(leave(limit))
            await client.adapt(spec)

    async def leave(limit):
        await asyncio.to_thread(begun.wait, 50)
        limit.reschedule(asyncio.get_running_loop().time())

    async def scenario():
        async with AsyncClient(server.url) as client:
            with pytest.raises(TimeoutError):
                await impatient(client)
            (run,) = await client.listing("adaptations")
            return run["id"]

    identifier = asyncio.run(scenario())
    assert begun.is_set()
    assert server.registry.runs.cancel_requested(identifier)
