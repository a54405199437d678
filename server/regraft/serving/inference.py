"""What each route of the protocol does."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from regraft.contract import Arrays, Task
from regraft.errors import (
    NotReadyError,
    UnknownNameError,
    UnsupportedError,
)
from regraft.identity.authenticator import Authenticator, anybody
from regraft.identity.caller import Caller
from regraft.logs import LONGEST_ID
from regraft.registry.endpoint_table import Route
from regraft.serving import protocol, strict_json
from regraft.serving.answers import Answers
from regraft.serving.aside import Looks, aside
from regraft.serving.asked import Asked
from regraft.serving.batcher import Batcher
from regraft.serving.body import Bodies
from regraft.serving.building import built, readable
from regraft.serving.call import Call, recorded, told
from regraft.serving.departures import Departures
from regraft.serving.forms import is_form, read_files
from regraft.serving.gate import caller_of
from regraft.serving.model_metadata import PLATFORM, model_config, tensor_metadata
from regraft.serving.pool import Pool
from regraft.serving.predictor import Predictor
from regraft.serving.rollout import Served
from regraft.serving.shadow import Shadows
from regraft.serving.statistics import Statistics
from regraft.serving.telemetry import Telemetry
from regraft.serving.tensors import BadRequestError, check_tensors
from regraft.serving.traces import Trace, Traces

EXTENSIONS = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
]
FILES_GO = " Files go in a form: curl -F file=@FILE URL."


class Inference:
    """The handlers of one replica."""

    def __init__(
        self,
        pool: Pool,
        batcher: Batcher,
        watchers: "Watchers",
        caps: "Caps",
        version: str,
        authenticate: Authenticator = anybody,
    ) -> None:
        self.pool = pool
        self.batcher = batcher
        self.watchers = watchers
        self.caps = caps
        self.version = version
        self.authenticate = authenticate
        self.answers = Answers(caps.answers)
        self.bodies = Bodies(caps.body)
        self.shadows = Shadows(batcher, watchers.telemetry)
        self.departures = Departures()
        self.looks = Looks()
        self.loop: asyncio.AbstractEventLoop | None = None
        """On which it answers, once it does."""

    def recorded(
        self, known: tuple[Caller, str], identifier: str | None, carrier: Mapping[str, str]
    ) -> AbstractContextManager[Call]:
        """A call of an endpoint by a caller whose record is told at its end; no name of a client's
        own making is told. One that was published a moment ago is known by then. The carrier
        (headers, or metadata) may say to which trace it belongs."""
        caller, name = known
        return recorded(
            self.watchers.telemetry,
            lambda: name if self.sees(caller, name) else "unknown",
            identifier,
            self.watchers.trace(carrier),
        )

    def sees(self, caller: Caller, name: str) -> bool:
        """Whether it is an endpoint, and of the caller's project."""
        route = self.pool.routes.get(name)
        return route is not None and caller.sees(route.project)

    def seen(self, caller: Caller) -> Mapping[str, Route]:
        """The endpoints of the caller's project."""
        routes = self.pool.routes
        if caller.view.everywhere:
            return routes
        return {name: route for name, route in routes.items() if caller.sees(route.project)}

    async def found(self, caller: Caller, name: str) -> Served:
        """What is loaded under a name. One of another project is as unknown as one that nobody has;
        that is looked at again after waiting for one that was published a moment ago."""
        try:
            self._check_seen(caller, name)
            served = await self.pool.waited_for(name)
        except UnknownNameError as error:
            if caller.view.everywhere:
                raise
            raise UnknownNameError("endpoint", name[:63], self.seen(caller)) from error
        self._check_seen(caller, name)
        return served

    def _check_seen(self, caller: Caller, name: str) -> None:
        route = self.pool.routes.get(name)
        if route is not None and not caller.sees(route.project):
            raise UnknownNameError("endpoint", name[:63], self.seen(caller))

    async def server(self, request: Request) -> Response:
        return JSONResponse({"name": "regraft", "version": self.version, "extensions": EXTENSIONS})

    async def live(self, request: Request) -> Response:
        return JSONResponse({"live": True, "ready": self.pool.ready})

    async def ready(self, request: Request) -> Response:
        ready = self.pool.ready
        missing = self.pool.missing
        failed = {failure.route.name: failure.reason for failure in self.pool.failures.values()}
        status: dict[str, Any] = {"live": True, "ready": ready}
        if self.pool.stopping:
            status["stopping"] = True
        if self.authenticate is anybody:
            status |= {"waiting_for": missing, "failed": failed}
        return JSONResponse({k: v for k, v in status.items() if v != [] and v != {}}, _ok(ready))

    async def model(self, request: Request) -> Response:
        served, predictor = await self._named(request)
        return JSONResponse(
            {
                "name": predictor.name,
                "versions": served.versions,
                "platform": PLATFORM,
                "inputs": tensor_metadata(predictor.task.request_tensors()),
                "outputs": tensor_metadata(predictor.task.response_tensors()),
            }
        )

    async def model_ready(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            await self._named(request)
        except NotReadyError:
            return JSONResponse({"name": name, "ready": False}, 503)
        return JSONResponse({"name": name, "ready": True})

    async def config(self, request: Request) -> Response:
        """Triton's extension, as far as it means anything here."""
        _, predictor = await self._named(request)
        return JSONResponse(model_config(predictor.name, predictor.task))

    async def all_statistics(self, request: Request) -> Response:
        caller = caller_of(request)
        rows = await asyncio.to_thread(self.watchers.statistics.total)
        if not caller.view.everywhere:
            rows = [row for row in rows if self.sees(caller, row["name"])]
        return JSONResponse({"model_stats": rows})

    async def model_statistics(self, request: Request) -> Response:
        """Of one endpoint: of every version that is loaded or answered, or of the one named."""
        name, version = request.path_params["name"], request.path_params.get("version")
        served = await self.found(caller_of(request), name)
        versions = served.versions if version is None else [str(served.named(version).version)]
        total = partial(self.watchers.statistics.total, {name: versions})
        found = [
            row
            for row in await asyncio.to_thread(total)
            if row["name"] == name and version in (None, row["version"])
        ]
        return JSONResponse({"model_stats": found})

    async def index(self, request: Request) -> Response:
        """Every endpoint and how it stands; only those that can answer if so asked."""
        asked = await self._json(request)
        rows = [self._state(name) for name in sorted(self.seen(caller_of(request)))]
        ready = asked.get("ready", False)
        if type(ready) is not bool:
            raise BadRequestError("'ready' must be true or false.")
        if ready:
            rows = [row for row in rows if row["state"] == "READY"]
        return JSONResponse(rows)

    def _state(self, name: str) -> dict[str, str]:
        known, failure, route = self.pool.served.get(name), None, self.pool.routes[name]
        if known is None:
            failure = self.pool.failure(name)
        version = str(known.stable.version if known else route.version)
        elsewhere = route.dedicated and self.pool.only is None
        state = "READY" if known or elsewhere else "UNAVAILABLE" if failure else "LOADING"
        return {
            "name": name,
            "version": version,
            "state": state,
            "reason": failure.reason if failure else "",
        }

    async def load(self, request: Request) -> Response:
        """Endpoints are loaded by themselves: this waits until one is."""
        asked = await self._json(request)
        await self._named(request)
        if asked.get("parameters"):
            raise UnsupportedError(
                "An endpoint's files and configuration are those of its version."
            )
        return JSONResponse({})

    async def unload(self, request: Request) -> Response:
        await self._named(request)
        raise UnsupportedError(
            "An endpoint is unloaded when it is deleted: this would be for one replica alone."
        )

    async def _json(self, request: Request) -> dict[str, Any]:
        """The object that a body may hold."""
        body = await self.bodies.read(request)
        parse = partial(strict_json.loads, body, self.caps.json)
        found = await aside(len(body), parse) if body.strip() else {}
        if not isinstance(found, dict):
            raise BadRequestError("The body must be a JSON object, or empty.")
        return found

    async def infer(self, asked: Asked, call: Call) -> protocol.InferResponse:
        served, named = await self._wanted(asked.caller, asked.name, asked.version)
        length = protocol.parse_header_length(asked.headers.get(protocol.HEADER_LENGTH.lower()))
        body = await asked.read()
        limits = self.caps.json, longest_string(named.task)
        request = await aside(len(body), lambda: protocol.parse_infer(body, length, *limits))
        with asked.watched():
            predictor, tensors = await self.answer(call, served, asked.version, request)
            return await built(protocol.build_infer, predictor, request, tensors)

    async def answer(
        self, call: Call, served: Served, version: str | None, asked: protocol.InferRequest
    ) -> tuple[Predictor, Arrays]:
        """Which version answers a request, and what it says."""
        call.id = asked.id[:LONGEST_ID] or call.id
        seconds = protocol.time_given(asked)
        call.deadline = None if seconds is None else call.begin + seconds
        predictor = call.choose(served, version)
        if asked.outputs is not None:
            task = predictor.task
            protocol.check_outputs(asked, task.response_tensors(), task.labels)
        rows = await self.rows(predictor, asked)
        return predictor, await self._predict(call, served, predictor, rows)

    async def rows(self, predictor: Predictor, asked: protocol.InferRequest) -> list[Any]:
        """The task's rows that a request holds."""
        check_tensors(predictor.alternatives, asked.tensors)
        amount = len(next(iter(asked.tensors.values()))), asked.size
        return await self._read(predictor.task, predictor.task.rows, asked.tensors, amount)

    async def predict(self, asked: Asked, call: Call) -> protocol.InferResponse:
        """For people: `{"inputs": […]}` or a form of files in, a readable prediction a row out."""
        served, _ = await self._wanted(asked.caller, asked.name, asked.version)
        predictor = call.choose(served, asked.version)
        body = await asked.read()
        if is_form(asked.headers):
            rows = await self._form(predictor.task, asked, body)
        else:
            limits = self.caps.json, longest_string(predictor.task)
            try:
                inputs = _inputs(await aside(len(body), lambda: strict_json.loads(body, *limits)))
            except BadRequestError as error:
                hint = FILES_GO if predictor.task.suffixes else ""
                raise BadRequestError(f"{error}{hint}") from error
            task, amount = predictor.task, (len(inputs), len(body))
            rows = await self._read(task, task.read_inputs, inputs, amount)
        with asked.watched():
            tensors = await self._predict(call, served, predictor, rows)
            answer = await readable(predictor, call.id, tensors)
        return protocol.InferResponse(answer, {"content-type": "application/json"})

    async def _form(self, task: Task, asked: Asked, body: bytes) -> list[Any]:
        if not task.suffixes:
            raise UnsupportedError('This endpoint takes no files: send {"inputs": [...]}.')
        files = await read_files(asked.headers, body)
        items = np.empty(len(files), object)
        items[:] = files
        tensors = {task.request_tensors()[0].name: items}
        return await self._read(task, task.rows, tensors, (len(files), len(body)))

    async def _read(
        self, task: Task, read: Callable[[Any], list[Any]], given: Any, amount: tuple[int, int]
    ) -> list[Any]:
        """Rows from a request of so many, and of so many bytes."""
        (count, size), rows = amount, partial(read, given)
        self.batcher.check(count)
        return await (self.looks.at(count, size, rows) if task.suffixes else aside(size, rows))

    async def _predict(
        self, call: Call, served: Served, predictor: Predictor, rows: Sequence[Any]
    ) -> Arrays:
        """Response tensors, of which a copy is compared where a version is tried in the shadow."""
        call.rows = len(rows)
        tensors = await self._answered(call, predictor, rows)
        call.told = told(predictor, tensors)
        shadow = served.shadow(call.id)
        if shadow is not None and shadow.version != predictor.version:
            self.shadows.ask(shadow, rows, tensors)
        return tensors

    async def _answered(self, call: Call, predictor: Predictor, rows: Sequence[Any]) -> Arrays:
        """What was answered before to the same rows, or what the model says of them."""
        begin = time.perf_counter()
        key = self.answers.key(predictor, rows)
        if key is None:
            return await self._computed(call, predictor, rows)
        known = self.answers.get(key)
        call.cached, call.lookup = known is not None, time.perf_counter() - begin
        if known is None:
            known = await self._computed(call, predictor, rows)
            self.answers.put(key, known)
        return known

    async def _computed(self, call: Call, predictor: Predictor, rows: Sequence[Any]) -> Arrays:
        return await self.batcher.predict(
            predictor, rows, deadline=call.deadline, batches=call.batches
        )

    async def _named(self, request: Request) -> tuple[Served, Predictor]:
        """What is loaded under the path's name, and the version that the path names."""
        path = request.path_params
        return await self._wanted(caller_of(request), path["name"], path.get("version"))

    async def _wanted(
        self, caller: Caller, name: str, version: str | None
    ) -> tuple[Served, Predictor]:
        served = await self.found(caller, name)
        return served, served.named(version)


def longest_string(task: Task) -> int | None:
    """The most characters of a string that a request for this task may hold, if it is known."""
    return None if task.suffixes or task.records else task.longest_text


def _inputs(asked: Any) -> list[Any]:
    if not isinstance(asked, dict) or set(asked) != {"inputs"}:
        raise BadRequestError('The body must be {"inputs": [...]}.')
    inputs = asked["inputs"]
    if not isinstance(inputs, list) or not inputs:
        raise BadRequestError("'inputs' must be a list with at least one item.")
    return inputs


def _ok(ready: bool) -> int:
    return 200 if ready else 503


@dataclass(frozen=True)
class Caps:
    """The greatest body, the greatest JSON, and the answers that are kept, in bytes."""

    body: int
    json: int
    answers: int = 0


@dataclass(frozen=True)
class Watchers:
    """Who is told of requests: telemetry of each that ends, of which the protocol's statistics are
    a part, and traces of those that are sampled."""

    telemetry: Telemetry
    statistics: Statistics
    traces: Traces | None = None

    def trace(self, carrier: Mapping[str, str]) -> Trace | None:
        return None if self.traces is None else self.traces.begin(carrier)
