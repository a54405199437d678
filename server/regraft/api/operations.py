"""What operators and people look at: health, metrics and the pages."""

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from regraft.api.docs_page import page
from regraft.api.rendering import StandardJSON
from regraft.api.services import ForAdmins, ForAnyone, Services, allowed
from regraft.domain import JSON, Number
from regraft.identity.scopes import Scope

router = APIRouter(tags=["operations"])

# The page has no script, and nothing that it could load.
PAGE_POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get("/v1/health", response_description="`status` and `version`")
async def health() -> JSON:
    """Whether the control plane answers; of predictions `/v2/health/ready` tells."""
    return {"status": "ok", "version": version("regraft")}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(
    request: Request, services: Annotated[Services, allowed(Scope.METRICS_READ)]
) -> PlainTextResponse:
    """Metrics of the whole server as Prometheus text; live accuracy and drift are half a minute old
    at most."""
    whole: Services = request.app.state.services
    text = await services.metrics() + await whole.live_metrics.text()
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/me", response_description="`id`, `project` and `scopes`")
async def me(services: ForAnyone) -> JSON:
    """Who asks, and what this caller may do."""
    caller = services.caller
    return {"id": caller.id, "project": caller.project, "scopes": sorted(caller.scopes)}


@router.get("/v1/audit", response_description="Records as `items`, the newest first")
def audit(
    services: ForAdmins,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[Number | None, Query(description="Only records of lower numbers.")] = None,
) -> JSON:
    """Who asked for which change, and the status of the answer."""
    return {"items": services.registry.audit.newest(limit, before)}


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, services: ForAnyone) -> StandardJSON:
    return StandardJSON(request.app.openapi())


@router.get("/docs", include_in_schema=False)
async def docs(request: Request, services: ForAnyone) -> HTMLResponse:
    return HTMLResponse(page(request.app.openapi()), headers=PAGE_POLICY)


@router.get("/", include_in_schema=False)
async def home(services: ForAnyone) -> RedirectResponse:
    return RedirectResponse("/docs")
