"""What the routes work with, made by whoever starts the server."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from regraft.adaptations.apart import check_apart, show_apart
from regraft.adaptations.queries import show_source
from regraft.adaptations.request import AUTO, check_request
from regraft.api.live_metrics import LiveMetrics
from regraft.domain import JSON, AdaptationSpec
from regraft.errors import ForbiddenError
from regraft.identity.authenticator import Authenticator, anybody
from regraft.identity.caller import LOCAL, Caller
from regraft.identity.scopes import Scope
from regraft.plugins import Plugins
from regraft.reference import Reference
from regraft.registry.paging import Page, Window
from regraft.registry.store import Registry
from regraft.settings import Settings


@dataclass(frozen=True)
class Services:
    """`launch` starts the run of an adaptation id in another process and returns at once;
    `metrics` answers the whole server's metrics as Prometheus text; `admit` refuses a request that
    the cluster can never satisfy; `authenticate` tells who bears an `Authorization` header; `apart`
    whether a process of its own opens what is not in the catalogue. The registry is what the
    `caller` sees of it."""

    registry: Registry
    plugins: Plugins
    settings: Settings
    launch: Callable[[str], None]
    metrics: Callable[[], Awaitable[str]]
    admit: Callable[[AdaptationSpec], None] = lambda spec: None
    authenticate: Authenticator = anybody
    apart: bool = False
    caller: Caller = LOCAL

    @cached_property
    def live_metrics(self) -> LiveMetrics:
        return LiveMetrics(self.registry)

    def catalogued(self, reference: str) -> bool:
        """Whether a source model is one that a plugin offers by name, or left to us to choose."""
        parsed = Reference.parse(reference)
        return parsed.kind is None and parsed.target in (AUTO, *self.plugins.sources)

    def check(self, spec: AdaptationSpec) -> None:
        """Raise what is wrong with a request, of whose source model this caller may know."""
        self.check_source(spec.source)
        if self.apart and not self.catalogued(spec.source):
            check_apart(spec)
        else:
            check_request(spec, self.plugins)
        self.admit(spec)

    def source(self, reference: str) -> JSON:
        """What is known of a source model, if this caller may have it opened."""
        self.check_source(reference)
        if self.apart and not self.catalogued(reference):
            return show_apart(reference)
        return show_source(reference, self.plugins)

    def check_source(self, reference: str) -> None:
        """ForbiddenError for a source model that this caller may not have the server open: by a
        path of its disk, a class of its packages, or a name of the hub, of which nobody knows what
        it holds. Those of the catalogue are for everybody."""
        if Scope.ADMIN in self.caller.scopes:
            return
        listed = self.settings.allowed_sources.split(",")
        beginnings = [start.strip() for start in listed if start.strip()]
        if self.catalogued(reference) or (
            ".." not in reference and any(map(reference.startswith, beginnings))
        ):
            return
        raise ForbiddenError(
            f"'{reference[:60]}' is not in the catalogue (GET /v1/sources): it takes the scope "
            f"'{Scope.ADMIN}', or an administrator who lists its beginning in "
            "REGRAFT_ALLOWED_SOURCES."
        )

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


Limit = Annotated[int, Query(ge=1, le=1000, description="Items of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="The `next` of the page before this one.")
]


def _window(limit: Limit = 100, cursor: Cursor = None) -> Window:
    return Window(limit, cursor)


Wanted = Annotated[Window, Depends(_window)]
"""What a route of a list depends on: the page that is asked for."""


def as_json(page: Page[Any]) -> JSON:
    """The `items` of a page, and the cursor of the `next`, null on the last."""
    return {"items": [item.as_dict() for item in page.items], "next": page.next}


ForAnyone = Annotated[Services, allowed(None)]
ForAdmins = Annotated[Services, allowed(Scope.ADMIN)]
