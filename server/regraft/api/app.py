"""The control plane as an ASGI application."""

from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from regraft.api import (
    adaptations,
    catalogue,
    datasets,
    endpoints,
    keys,
    models,
    operations,
    uploads,
)
from regraft.api.audit import Audited
from regraft.api.identified import Identified
from regraft.api.problems import RESPONSES, add_problem_handlers
from regraft.api.rendering import StandardJSON
from regraft.api.services import Allowed, Services
from regraft.serving.hanging_up import HangingUp

RESOURCES = (datasets, uploads, adaptations, models, endpoints, keys, catalogue, operations)
ROUTERS = tuple(resource.router for resource in RESOURCES)
PUBLIC = ("/v1/health",)

DESCRIPTION = (
    "Upload a labelled data set, adapt a source model to it, promote the version that you want. "
    "Predictions are answered at `/v2/models/NAME/infer` (Open Inference Protocol) and "
    "`/v2/models/NAME/predict`. Every failure is a problem document: "
    "`type`, `title`, `status`, `detail`, and `problems` for a data set."
)


def build_app(services: Services) -> FastAPI:
    """The application that serves these services; nothing is started."""
    app = FastAPI(
        title="regraft",
        version=version("regraft"),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=StandardJSON,
        responses=RESPONSES,
    )
    app.state.services = services
    add_problem_handlers(app)
    app.add_middleware(Audited, audit=services.registry.audit)
    app.add_middleware(Identified)
    app.add_middleware(HangingUp)
    for router in ROUTERS:
        check_guarded(router)
        app.include_router(router)
    return app


def check_guarded(router: APIRouter) -> None:
    """RuntimeError if a route asks nobody who is calling, unless all may know its answer."""
    for route in router.routes:
        dependant = route.dependant if isinstance(route, APIRoute) else Dependant()
        if dependant.path in PUBLIC:
            continue
        if not any(isinstance(one.call, Allowed) for one in dependant.dependencies):
            raise RuntimeError(f"The route {route} depends on no scope.")
