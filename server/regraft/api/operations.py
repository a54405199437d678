"""What operators and people look at: health, metrics and the pages."""

from importlib.metadata import version

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from regraft.api.docs_page import page
from regraft.api.services import FromServices
from regraft.domain import JSON

router = APIRouter(tags=["operations"])

# The page has no script, and nothing that it could load.
PAGE_POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get("/v1/health", response_description="`status` and `version`")
async def health() -> JSON:
    """Whether the control plane answers; of predictions `/v2/health/ready` tells."""
    return {"status": "ok", "version": version("regraft")}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(services: FromServices) -> PlainTextResponse:
    """Metrics of the whole server as Prometheus text; live accuracy and drift are half a minute old
    at most."""
    text = await services.metrics() + await services.live_metrics.text()
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    return HTMLResponse(page(request.app.openapi()), headers=PAGE_POLICY)


@router.get("/", include_in_schema=False)
async def home() -> RedirectResponse:
    return RedirectResponse("/docs")
