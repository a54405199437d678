"""The Open Inference Protocol over gRPC, with the answers that HTTP gives, and gRPC's health check.

Ray Serve runs a gRPC server in each replica, which calls the replica's method of the same name.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from regraft.errors import NotReadyError, OverloadedError, RegraftError, TooLargeError
from regraft.identity.caller import Caller
from regraft.serving import grpc_protocol
from regraft.serving.aside import aside
from regraft.serving.building import built
from regraft.serving.call import logged
from regraft.serving.gate import admitted
from regraft.serving.grpc_messages import HEALTH, INFERENCE, MESSAGES, NOT_SERVING, SERVING
from regraft.serving.inference import EXTENSIONS, Inference
from regraft.serving.model_metadata import PLATFORM

SERVICES = {
    f"{INFERENCE}.GRPCInferenceService": (
        "ServerLive",
        "ServerReady",
        "ModelReady",
        "ServerMetadata",
        "ModelMetadata",
        "ModelInfer",
    ),
    f"{HEALTH}.Health": ("Check",),
}
CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
LONGEST_DETAILS = 2000
"""Characters of an error's text: gRPC's clients take no more than 8 kB of metadata."""
LOOPBACK = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "unix:")


def add_services(servicer: Any, server: Any) -> None:
    """Tell a gRPC server of the methods; Ray Serve routes them to its replicas."""
    for service, methods in SERVICES.items():
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                getattr(servicer, name),
                request_deserializer=_reader(_request(name)),
                response_serializer=_response(name).SerializeToString,
            )
            for name in methods
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


@dataclass(frozen=True)
class Unreadable:
    """What came in place of a message."""

    reason: str


def _reader(kind: Any) -> Callable[[bytes], Any]:
    """gRPC would call a message that cannot be read an unknown error of the server's."""

    def read(content: bytes) -> Any:
        try:
            return kind.FromString(content)
        except DecodeError as error:
            return Unreadable(str(error))

    return read


def _request(method: str) -> Any:
    return MESSAGES["HealthCheckRequest" if method == "Check" else f"{method}Request"]


def _response(method: str) -> Any:
    return MESSAGES["HealthCheckResponse" if method == "Check" else f"{method}Response"]


class GRPCService:
    """The methods of one replica. With `local` none but this machine is answered: Ray binds the
    port of each replica to every interface."""

    def __init__(self, inference: Inference, local: bool) -> None:
        self.inference = inference
        self.local = local

    async def call(self, method: str, message: Any, context: Any) -> Any:
        """The answer to a call, or an empty one with the status that says what went wrong."""
        if self.local and not context.peer().startswith(LOOPBACK):
            return _refuse(
                method, context, grpc.StatusCode.PERMISSION_DENIED, "This server is local."
            )
        if isinstance(message, Unreadable):
            wrong = f"The message is no {method}Request: {message.reason}"
            return _refuse(method, context, grpc.StatusCode.INVALID_ARGUMENT, wrong)
        answer: Callable[[Any, Any], Awaitable[Any]] = getattr(self, f"_{method}")
        try:
            return await answer(message, context)
        except RegraftError as error:
            return _refuse(method, context, code_of(error), str(error))
        except Exception as error:  # noqa: BLE001 - a model may raise anything, and tell of paths
            text = f"Internal error {logged(error)}."
            return _refuse(method, context, grpc.StatusCode.INTERNAL, text)

    async def _ServerLive(self, message: Any, context: Any) -> Any:
        return MESSAGES["ServerLiveResponse"](live=True)

    async def _ServerReady(self, message: Any, context: Any) -> Any:
        return MESSAGES["ServerReadyResponse"](ready=self.inference.pool.ready)

    async def _Check(self, message: Any, context: Any) -> Any:
        """The server's health, or that of a service: of one of ours, or of an endpoint."""
        ready = self.inference.pool.ready
        if message.service and message.service not in SERVICES:
            ready = await self._is_ready(context, message.service, None)
        return MESSAGES["HealthCheckResponse"](status=SERVING if ready else NOT_SERVING)

    async def _ModelReady(self, message: Any, context: Any) -> Any:
        ready = await self._is_ready(context, message.name, message.version or None)
        return MESSAGES["ModelReadyResponse"](ready=ready)

    async def _is_ready(self, context: Any, name: str, version: str | None) -> bool:
        try:
            (await self.inference.found(self._caller(context), name)).named(version)
        except NotReadyError:
            return False
        return True

    def _caller(self, context: Any) -> Caller:
        """Who bears the metadata's `authorization`."""
        authenticate = self.inference.authenticate
        return admitted(authenticate, _metadata(context).get("authorization"))

    async def _ServerMetadata(self, message: Any, context: Any) -> Any:
        self._caller(context)
        return MESSAGES["ServerMetadataResponse"](
            name="regraft", version=self.inference.version, extensions=EXTENSIONS
        )

    async def _ModelMetadata(self, message: Any, context: Any) -> Any:
        served = await self.inference.found(self._caller(context), message.name)
        found = served.named(message.version or None)
        return MESSAGES["ModelMetadataResponse"](
            name=found.name,
            versions=served.versions,
            platform=PLATFORM,
            inputs=grpc_protocol.metadata(found.task.request_tensors()),
            outputs=grpc_protocol.metadata(found.task.response_tensors()),
        )

    async def _ModelInfer(self, message: Any, context: Any) -> Any:
        """Counted and timed like a request over HTTP, with the status that it would have there."""
        name, wanted = message.model_name, message.model_version or None
        caller, metadata = self._caller(context), _metadata(context)
        known = message.id or metadata.get("x-request-id") or _told_id(context)
        with self.inference.recorded((caller, name), known, metadata) as call:
            limit = self.inference.caps.body
            size = message.ByteSize()
            if size > limit:
                raise TooLargeError(f"The message is larger than {limit:,} bytes.")
            served = await self.inference.found(caller, name)
            asked = await aside(size, partial(grpc_protocol.parse_infer, message))
            predictor, tensors = await self.inference.answer(call, served, wanted, asked)
            return await built(grpc_protocol.build_infer, predictor, asked, tensors)


def _metadata(context: Any) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}


def _told_id(context: Any) -> str | None:
    """The id that Ray tells the client as trailing metadata; the client's own if it sent one."""
    return dict(context.trailing_metadata() or ()).get("request_id")


def code_of(error: RegraftError) -> grpc.StatusCode:
    """What an error of ours is called in gRPC."""
    if isinstance(error, OverloadedError) and not isinstance(error, NotReadyError):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    if 400 <= error.status < 500 and error.status not in CODES:
        return grpc.StatusCode.INVALID_ARGUMENT
    return CODES.get(error.status, grpc.StatusCode.INTERNAL)


def _refuse(method: str, context: Any, code: grpc.StatusCode, details: str) -> Any:
    context.set_code(code)
    context.set_details(details[:LONGEST_DETAILS])
    return _response(method)()
