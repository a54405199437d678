"""The Open Inference Protocol over HTTP: routes below the mount, and what goes wrong as JSON."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from regraft.errors import RegraftError
from regraft.identity.authenticator import anybody
from regraft.serving.asked import Asked, Predicting, failed, refused
from regraft.serving.gate import Gate, caller_of
from regraft.serving.hanging_up import HangingUp
from regraft.serving.inference import Inference
from regraft.serving.replies import replied

Handler = Callable[[Request], Awaitable[Response]]
MOUNT = "/v2"
MODEL = "/models/{name}"
VERSIONED = "/models/{name}/versions/{version}"
PREDICTION = re.compile(r"(?:/v2)?/models/([^/]+)(?:/versions/([^/]+))?/(infer|predict)")


def build_app(inference: Inference, lifespan: Any = None) -> ASGIApp:
    """The protocol's application; paths are those after `/v2`."""
    ways = {
        "infer": _predicting(inference, inference.infer),
        "predict": _predicting(inference, inference.predict),
    }
    routes = [Route("/models/stats", _answer(inference.all_statistics))]
    for prefix in (MODEL, VERSIONED):
        routes += [
            *(Route(f"{prefix}/{way}", ask, methods=["POST"]) for way, ask in ways.items()),
            Route(f"{prefix}/ready", _answer(inference.model_ready)),
            Route(f"{prefix}/config", _answer(inference.config)),
            Route(f"{prefix}/stats", _answer(inference.model_statistics)),
            Route(prefix, _answer(inference.model)),
        ]
    routes += [
        Route("/", _answer(inference.server)),
        Route("/health/live", _answer(inference.live)),
        Route("/health/ready", _answer(inference.ready)),
        Route("/repository/index", _answer(inference.index), methods=["POST"]),
        Route(f"/repository{MODEL}/load", _answer(inference.load), methods=["POST"]),
        Route(f"/repository{MODEL}/unload", _answer(inference.unload), methods=["POST"]),
    ]
    handlers: dict[Any, Any] = {HTTPException: _http_error, Exception: _unexpected}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.add_middleware(BareMount)
    whole = Shortcut(app, ways)
    if inference.authenticate is not anybody:
        return HangingUp(Gate(whole, inference.authenticate))
    return HangingUp(whole)


class Shortcut:
    """Predictions by their usual paths go straight to their handlers: the router and what it is
    wrapped in would take as long as the handlers do."""

    def __init__(self, app: ASGIApp, ways: dict[str, Handler]) -> None:
        self.app = app
        self.ways = ways

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        found = PREDICTION.fullmatch(scope["path"])
        if found is None:
            await self.app(scope, receive, send)
            return
        name, version, way = found.groups()
        path = {"name": name} if version is None else {"name": name, "version": version}
        request = Request({**scope, "path_params": path}, receive)
        try:
            response = await self.ways[way](request)
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            response = await _unexpected(request, error)
        await response(scope, receive, send)


class BareMount:
    """Paths are those after `/v2`, wherever HAProxy mounts the application: one of an endpoint's
    own is mounted at its model. `/v2` means `/v2/`: Starlette would redirect, and clients that post
    would not follow."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(MOUNT):
            path = "/v2/" if scope["path"] == MOUNT else scope["path"]
            scope = {**scope, "path": path, "root_path": MOUNT}
        await self.app(scope, receive, send)


def _answer(handler: Handler) -> Handler:
    """Errors of ours as the protocol wants them."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RegraftError as error:
            return refused(error).response()

    return answer


def _predicting(inference: Inference, predicting: Predicting) -> Handler:
    """Ray Serve gives each request an id, unless it has one, and tells it with the answer."""

    async def answer(request: Request) -> Response:
        path = request.path_params
        asked = Asked(
            path["name"],
            path.get("version"),
            request.headers,
            caller_of(request),
            partial(inference.bodies.read, request),
            partial(inference.departures.watched, request),
        )
        return (await replied(inference, predicting, asked)).response()

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {404: "There is nothing at this path.", 405: "This path has not this method."}
    message = known.get(error.status_code, error.detail)
    return JSONResponse({"error": message}, error.status_code, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    return failed(error).response()
