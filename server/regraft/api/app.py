"""The control plane as an ASGI application."""

from importlib.metadata import version

from fastapi import FastAPI

from regraft.api import adaptations, catalogue, datasets, endpoints, models, operations
from regraft.api.problems import RESPONSES, add_problem_handlers
from regraft.api.rendering import StandardJSON
from regraft.api.services import Services

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
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=StandardJSON,
        responses=RESPONSES,
    )
    app.state.services = services
    add_problem_handlers(app)
    for resource in (datasets, adaptations, models, endpoints, catalogue, operations):
        app.include_router(resource.router)
    return app
