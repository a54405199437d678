"""The short way of a prediction: from the connection to its handler, past ASGI and Ray's wrapper.

Those take half of an event loop's time a request. What they are for a replica of the shared pool
does not need: Ray counts requests to scale what it starts, and the pool's replicas are as many as
the settings say. Ray still opens the port, tells when it closes, and waits for those who are
answered, since this is the protocol of its own HTTP server, uvicorn.

Only what is surely one whole request, written as HAProxy writes them, goes this way. All else, be
it as much as unusual, is left to uvicorn's parser.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from regraft.errors import RegraftError
from regraft.logs import request_id
from regraft.serving.asked import REQUEST_ID, Asked, Predicting, Reply, failed, refused
from regraft.serving.call import logged
from regraft.serving.gate import admitted
from regraft.serving.hanging_up import SMALL
from regraft.serving.inference import Inference
from regraft.serving.replies import replied

END = b"\r\n\r\n"
BEGIN = b"POST /v2/models/"
HEAD = re.compile(
    r"POST /v2/models/([\w.~-]++)(?:/versions/([\w.-]++))?/(infer|predict) HTTP/1\.1"
    r"((?:\r\n[\w!#$%&'*+.^`|~-]++:[^\x00-\x08\x0a-\x1f\x7f]*+)*+)",
    re.ASCII,
)
"""The request line and the headers (RFC 9112, 3 and 5), without an escape or a query."""
UNUSUAL = frozenset(
    {
        "connection",
        "content-encoding",
        "expect",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    },
)
"""Headers that change how a request is read, or what becomes of its connection."""


@dataclass(frozen=True)
class Whole:
    """A prediction's request as it came in."""

    name: str
    version: str | None
    way: str
    headers: Mapping[str, str]
    body: bytes


def whole(data: bytes) -> Whole | None:
    """The one request that the data are, if they are one and nothing about it is unusual."""
    if not data.startswith(BEGIN) or len(data) > SMALL:
        return None
    end = data.find(END)
    found = HEAD.fullmatch(data[:end].decode("latin-1")) if end > 0 else None
    if found is None:
        return None
    name, version, way, lines = found.groups()
    pairs = [line.partition(":") for line in lines.split("\r\n")[1:]]
    headers = {field.lower(): value.strip(" \t") for field, _, value in pairs}
    body = data[end + len(END) :]
    # One header that comes twice may mean anything.
    if len(headers) != len(pairs) or not UNUSUAL.isdisjoint(headers):
        return None
    if headers.get("content-length") != str(len(body)):
        return None
    return Whole(name, version, way, headers, body)


class Lane(HttpToolsProtocol):
    """One connection, whose usual predictions are answered at once, one after another."""

    def __init__(self, inference: Inference, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.inference = inference
        self.ways: dict[str, Predicting] = {"infer": inference.infer, "predict": inference.predict}
        self.inside = False
        """Whether uvicorn's parser is in the midst of a message."""
        self.answering: asyncio.Task[None] | None = None
        self.behind = b""
        """What came while a request is answered."""
        self.ends = False

    def data_received(self, data: bytes) -> None:
        if self.answering is not None:
            self.behind += data
            self.flow.pause_reading()
            return
        request = whole(data) if self._between() else None
        if request is None:
            super().data_received(data)
            return
        self._unset_keepalive_if_required()
        self.answering = self.loop.create_task(self._answer(request))
        self.tasks.add(self.answering)
        self.answering.add_done_callback(self._answered)

    def _between(self) -> bool:
        """Whether the next byte begins a message, nothing is still to be answered, and the models
        are asked on this loop."""
        answered = self.cycle is None or self.cycle.response_complete
        here = self.loop is self.inference.loop
        return here and answered and not self.inside and not self.pipeline

    def on_message_begin(self) -> None:
        self.inside = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.inside = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answering is not None:
            self.answering.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self.ends = True
        if self.answering is None:
            super().shutdown()

    async def _answer(self, request: Whole) -> None:
        identifier = request_id(request.headers.get(REQUEST_ID))
        try:
            reply = await self._reply(request, identifier)
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            reply = failed(error)
        if self.flow.write_paused:
            await self.flow.drain()
        self.transport.write(self._written(reply, identifier))
        if self.ends:
            self.transport.close()
        # At once: until this task is called done, more may come or the server may end.
        self.answering = None
        self.on_response_complete()
        data, self.behind = self.behind, b""
        if data and not self.transport.is_closing():
            self.data_received(data)

    async def _reply(self, request: Whole, identifier: str) -> Reply:
        headers = {**request.headers, REQUEST_ID: identifier}
        try:
            caller = admitted(self.inference.authenticate, headers.get("authorization"))
        except RegraftError as error:
            return refused(error)
        asked = Asked(
            request.name,
            request.version,
            headers,
            caller,
            partial(self._read, request.body),
            nullcontext,
        )
        return await replied(self.inference, self.ways[request.way], asked)

    async def _read(self, body: bytes) -> bytes:
        self.inference.bodies.check(len(body))
        return body

    def _written(self, reply: Reply, identifier: str) -> bytes:
        lines = [STATUS_LINE[reply.status]]
        lines += [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        told = {**reply.headers, "content-length": len(reply.body), REQUEST_ID: identifier}
        if self.ends:
            told["connection"] = "close"
        text = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        return b"".join([*lines, text.encode("latin-1"), b"\r\n", reply.body])

    def _answered(self, task: asyncio.Task[None]) -> None:
        """Without an answer the next would be taken for it."""
        self.tasks.discard(task)
        if task.cancelled():
            self.transport.close()
        elif (error := task.exception()) is not None:
            logged(error)
            self.transport.close()


def open_lane(inference: Inference) -> None:
    """Every HTTP server of uvicorn's that this process starts from now on has it: a replica has one
    alone."""
    protocols = cast("dict[str, Callable[..., asyncio.Protocol]]", HTTP_PROTOCOLS)
    protocols["auto"] = partial(Lane, inference)
