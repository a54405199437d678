"""The Open Inference Protocol over HTTP: routes below the mount, and what goes wrong as JSON."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from regraft.errors import InvalidInputError, OverloadedError, RegraftError
from regraft.serving.inference import Inference
from regraft.serving.protocol import compressed, error_body
from regraft.serving.telemetry import RequestRecord

log = logging.getLogger("regraft.serving")

Handler = Callable[[Request], Awaitable[Response]]
MODEL = "/models/{name}"
VERSIONED = "/models/{name}/versions/{version}"
CLIENT_CLOSED = 499


def build_app(inference: Inference, lifespan: Any = None) -> Starlette:
    """The protocol's application; paths are those after `/v2`."""
    routes = [Route("/models/stats", _answer(inference.all_statistics))]
    for prefix in (MODEL, VERSIONED):
        routes += [
            Route(f"{prefix}/infer", _timed(inference, inference.infer), methods=["POST"]),
            Route(f"{prefix}/predict", _timed(inference, inference.predict), methods=["POST"]),
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
    return app


class BareMount:
    """`/v2` means `/v2/`: Starlette would redirect, and clients that post would not follow."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == scope.get("root_path"):
            scope = {**scope, "path": f"{scope['path']}/"}
        await self.app(scope, receive, send)


def _answer(handler: Handler) -> Handler:
    """Errors of ours as the protocol wants them."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RegraftError as error:
            return error_response(error)

    return answer


def _timed(inference: Inference, handler: Handler) -> Handler:
    """Count and time a prediction, whatever becomes of it."""

    async def answer(request: Request) -> Response:
        begin, status = time.perf_counter(), 500
        request.state.rows, request.state.version = 0, ""
        try:
            response = await handler(request)
            status = response.status_code
        except RegraftError as error:
            response = error_response(error)
            status = response.status_code
        except (ClientDisconnect, asyncio.CancelledError):
            status = CLIENT_CLOSED
            raise
        finally:
            _record(inference, request, status, time.perf_counter() - begin)
        return _compressed(request, response)

    return answer


def _compressed(request: Request, response: Response) -> Response:
    """As the client accepts it; a compressed body has another length, and another meaning for
    caches."""
    body, encoding = compressed(bytes(response.body), request.headers.get("accept-encoding"))
    if encoding is not None:
        response.body = body
        response.headers["Content-Encoding"] = encoding
        response.headers["Content-Length"] = str(len(body))
        response.headers["Vary"] = "Accept-Encoding"
    return response


def _record(inference: Inference, request: Request, status: int, seconds: float) -> None:
    name = request.path_params["name"]
    known = name if name in inference.pool.routes else "unknown"
    inference.telemetry.request(
        RequestRecord(known, request.state.version, request.state.rows, status, seconds)
    )


def error_response(error: RegraftError) -> Response:
    """The protocol says 400 for every request that is wrong in itself."""
    wrong = isinstance(error, InvalidInputError) and error.status == 422
    headers = {}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(error.retry_after)
    return _json(error_body(str(error)), 400 if wrong else error.status, headers)


def _json(body: bytes, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {404: "There is nothing at this path.", 405: "This path has not this method."}
    message = known.get(error.status_code, error.detail)
    return JSONResponse({"error": message}, error.status_code, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=CLIENT_CLOSED)
    identifier = secrets.token_hex(4)
    log.error("internal error %s", identifier, exc_info=error)
    return JSONResponse({"error": f"Internal error {identifier}."}, 500)
