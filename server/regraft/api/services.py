"""What the routes work with, made by whoever starts the server."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request

from regraft.api.live_metrics import LiveMetrics
from regraft.domain import AdaptationSpec
from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.settings import Settings


@dataclass(frozen=True)
class Services:
    """`launch` starts the run of an adaptation id in another process and returns at once;
    `metrics` answers the whole server's metrics as Prometheus text; `admit` refuses a request that
    the cluster can never satisfy."""

    registry: Registry
    plugins: Plugins
    settings: Settings
    launch: Callable[[str], None]
    metrics: Callable[[], Awaitable[str]]
    admit: Callable[[AdaptationSpec], None] = lambda spec: None

    @cached_property
    def live_metrics(self) -> LiveMetrics:
        return LiveMetrics(self.registry)


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


FromServices = Annotated[Services, Depends(_services)]
