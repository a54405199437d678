"""The client for programs that wait for many things at once."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from regraft.client.client import Client, Show
from regraft.domain import JSON, AdaptationSpec, Mode, Placement

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class AsyncClient:
    """`Client` with methods that are awaited; each is done in a thread, and raises the same."""

    def __init__(self, url: str, timeout: float = 60.0, key: str | None = None) -> None:
        self.client = Client(url, timeout, key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await _aside(self.client.close)

    async def adapt(
        self, spec: AdaptationSpec, detach: bool = False, show: Show = lambda kind, data: None
    ) -> JSON:
        """As `Client.adapt`; `show` is called in another thread. Who stops to wait for it, as by
        `asyncio.timeout`, cancels the run."""
        submitting = asyncio.ensure_future(_aside(self.client.adapt, spec, True, show))
        try:
            run = await asyncio.shield(submitting)
        except asyncio.CancelledError:  # What is being sent arrives, and nobody would know of it.
            run = await submitting
            await asyncio.shield(_aside(self.client.cancel, run["id"]))
            raise
        return run if detach else await self.outcome(run["id"], show)

    async def outcome(self, identifier: str, show: Show = lambda kind, data: None) -> JSON:
        """As `Client.outcome`; who stops to wait for it cancels the run."""
        try:
            return await _aside(self.client.outcome, identifier, show)
        except asyncio.CancelledError:
            await asyncio.shield(_aside(self.client.cancel, identifier))
            raise

    async def cancel(self, identifier: str) -> JSON:
        return await _aside(self.client.cancel, identifier)

    async def listing(self, kind: str) -> list[JSON]:
        return await _aside(self.client.listing, kind)

    async def model(self, name: str, version: int | None = None) -> JSON:
        return await _aside(self.client.model, name, version)

    async def delete_version(self, name: str, version: int) -> None:
        await _aside(self.client.delete_version, name, version)

    async def dataset(self, identifier: str) -> JSON:
        return await _aside(self.client.dataset, identifier)

    async def delete_dataset(self, identifier: str) -> None:
        await _aside(self.client.delete_dataset, identifier)

    async def adaptation(self, identifier: str) -> JSON:
        return await _aside(self.client.adaptation, identifier)

    async def endpoint(self, name: str) -> JSON:
        return await _aside(self.client.endpoint, name)

    async def promote(self, name: str, version: int, force: bool = False) -> JSON:
        return await _aside(self.client.promote, name, version, force)

    async def roll_back(self, name: str) -> JSON:
        return await _aside(self.client.roll_back, name)

    async def try_out(
        self, name: str, version: int, mode: Mode, share: float, force: bool = False
    ) -> JSON:
        return await _aside(self.client.try_out, name, version, mode, share, force)

    async def place(self, name: str, wanted: Placement) -> JSON:
        return await _aside(self.client.place, name, wanted)

    async def end_endpoint(self, name: str) -> None:
        await _aside(self.client.end_endpoint, name)

    async def history(self, name: str) -> list[JSON]:
        return await _aside(self.client.history, name)

    async def live(self, name: str) -> list[JSON]:
        return await _aside(self.client.live, name)

    async def feedback(self, name: str, labels: list[JSON]) -> JSON:
        return await _aside(self.client.feedback, name, labels)

    async def me(self) -> JSON:
        return await _aside(self.client.me)

    async def create_key(self, wanted: JSON) -> JSON:
        return await _aside(self.client.create_key, wanted)

    async def revoke_key(self, identifier: str) -> JSON:
        return await _aside(self.client.revoke_key, identifier)

    async def predict(self, endpoint: str, inputs: list[Any]) -> JSON:
        return await _aside(self.client.predict, endpoint, inputs)

    async def source(self, reference: str) -> JSON:
        return await _aside(self.client.source, reference)


async def _aside(ask: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs) -> Answer:
    return await asyncio.to_thread(ask, *given, **named)
