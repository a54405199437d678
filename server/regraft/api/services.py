"""What the routes work with, made by whoever starts the server."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Request

from regraft.api.live_metrics import LiveMetrics
from regraft.domain import AdaptationSpec
from regraft.identity.authenticator import Authenticator, anybody
from regraft.identity.caller import LOCAL, Caller
from regraft.identity.scopes import Scope
from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.settings import Settings


@dataclass(frozen=True)
class Services:
    """`launch` starts the run of an adaptation id in another process and returns at once;
    `metrics` answers the whole server's metrics as Prometheus text; `admit` refuses a request that
    the cluster can never satisfy; `authenticate` tells who bears an `Authorization` header. The
    registry is what the `caller` sees of it."""

    registry: Registry
    plugins: Plugins
    settings: Settings
    launch: Callable[[str], None]
    metrics: Callable[[], Awaitable[str]]
    admit: Callable[[AdaptationSpec], None] = lambda spec: None
    authenticate: Authenticator = anybody
    caller: Caller = LOCAL

    @cached_property
    def live_metrics(self) -> LiveMetrics:
        return LiveMetrics(self.registry)

    def seen_by(self, caller: Caller) -> "Services":
        return replace(self, registry=self.registry.within(caller.view), caller=caller)


class Allowed:
    """What a route depends on: the services as they are for its caller, who must have the scope.
    None is what any known caller may ask."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Services:
        services: Services = request.app.state.services
        caller = services.authenticate(request.headers.get("authorization"))
        request.state.caller = caller
        caller.require(self.scope)
        return services.seen_by(caller)


def allowed(scope: Scope | None) -> Any:
    """The dependency of a route on services for callers with this scope."""
    return Depends(Allowed(scope))


ForAnyone = Annotated[Services, allowed(None)]
ForAdmins = Annotated[Services, allowed(Scope.ADMIN)]
