"""A replica of the shared pool: the class that Ray Serve starts on a node."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp

from regraft.identity.authenticator import Authenticator, anybody, bearers
from regraft.identity.pace import paced
from regraft.identity.tokens import Issuer
from regraft.logs import log_lines
from regraft.registry.home import Home
from regraft.serving.batcher import Batcher
from regraft.serving.entry import SOCKET_PATH, Entry
from regraft.serving.grpc_service import SERVICES, GRPCService
from regraft.serving.http import build_app
from regraft.serving.inference import Caps, Inference, Watchers
from regraft.serving.lane import open_lane
from regraft.serving.metrics import Metrics
from regraft.serving.pool import new_pool
from regraft.serving.predictions import Predictions
from regraft.serving.sessions import Runtime
from regraft.serving.statistics import Statistics
from regraft.serving.telemetry import Afterwards, Several
from regraft.serving.traces import traces_wanted
from regraft.serving.waiting import Limits

log = logging.getLogger("regraft.serving")

KEEP_SECONDS = 1.0
KEEP_SHARE = 20
"""How much longer than it took to write what was seen it waits to do so again, at least."""
GARBAGE = 20_000
"""Objects after which cycles are looked for, of which requests leave few: after Python's 700 that
takes a fifteenth of the event loop's time."""


@dataclass(frozen=True)
class ReplicaOptions:
    """What a replica is told; sizes in bytes, times in seconds."""

    root: Path
    threads: int
    limits: Limits
    max_body: int
    max_json: int
    poll_interval: float
    backbones: int | None = None
    """How many bytes of backbones' files are kept in memory; all unless it is given."""
    cached: int = 0
    """How many bytes of answers are kept."""
    gpu: bool = False
    local: bool = True
    auth: bool = False
    """Whether callers must send an API key of the home."""
    issuer: Issuer | None = None
    """Whose tokens are taken as well."""
    rate: float | None = None
    """Requests a second that each caller may send."""
    artifacts: str | None = None
    """Where what is published is kept, if not in the home: a URI."""
    node_cache: Path | None = None
    """Where this node has its copies of that, if not in the home."""
    only: str | None = None
    """The one endpoint of a replica that is not the shared pool's."""


@dataclass(frozen=True)
class Serving:
    """The protocol in its two forms, and what answers in both."""

    http: ASGIApp
    grpc: GRPCService
    inference: Inference


def serving(options: ReplicaOptions) -> Serving:
    """The protocol over the home at `options.root`, kept in step with its endpoint table."""
    home = Home(options.root, options.artifacts, options.node_cache)
    runtime = Runtime(options.threads, options.gpu, home.optimised)
    pool = new_pool(home, runtime, options.only, options.backbones)
    worker = ThreadPoolExecutor(1, thread_name_prefix="inference")
    statistics = Statistics(home.statistics)
    predictions = Predictions(home.predictions)
    metrics = Metrics(home.statistics)
    entry = Entry(os.environ.get(SOCKET_PATH), metrics.entry)
    told = Afterwards(Several(metrics, statistics, predictions))
    batcher = Batcher(worker, options.limits, told, pool.memory)
    caps = Caps(options.max_body, options.max_json, options.cached)
    traces = traces_wanted()
    watchers = Watchers(told, statistics, traces)
    known: Authenticator = anybody
    if options.auth:
        known = paced(bearers(home.keys, home.pepper, options.issuer), options.rate)
    inference = Inference(pool, batcher, watchers, caps, version("regraft"), known)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        """Load everything before the first request, then follow the table."""
        inference.loop = asyncio.get_running_loop()
        await pool.refresh_safely()
        following = asyncio.create_task(pool.follow(options.poll_interval))
        async with _kept(told, entry.look, metrics.write, statistics.write, predictions.write):
            yield
        following.cancel()
        worker.shutdown(wait=False, cancel_futures=True)
        if traces is not None:
            await asyncio.to_thread(traces.close)

    app = build_app(inference, lifespan)
    return Serving(app, GRPCService(inference, options.local), inference)


@asynccontextmanager
async def _kept(told: Afterwards, *writers: Callable[[], None]) -> AsyncIterator[None]:
    """Meanwhile what was seen is written down now and then, and all of it at the end; always in one
    thread, since each keeps the memory that it once needed."""
    with ThreadPoolExecutor(1, thread_name_prefix="keeper") as keeper:
        keeping = asyncio.create_task(_keep(keeper, writers))
        yield
        keeping.cancel()
        told.pass_on()
        await asyncio.get_running_loop().run_in_executor(keeper, written, writers)


async def _keep(keeper: ThreadPoolExecutor, writers: Sequence[Callable[[], None]]) -> None:
    spent = 0.0
    while True:
        await asyncio.sleep(max(KEEP_SECONDS, KEEP_SHARE * spent))
        spent = await asyncio.get_running_loop().run_in_executor(keeper, written, writers)


def written(writers: Sequence[Callable[[], None]]) -> float:
    """Have all of them write; the processor's seconds that it took."""
    begin = time.thread_time()
    for write in writers:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            log.warning("cannot keep what was seen: %s: %s", type(error).__name__, error)
    return time.thread_time() - begin


class Replica:
    """Made by Ray Serve, which asks it for its application once it is constructed, and calls the
    method that a gRPC request names."""

    def __init__(self, options: ReplicaOptions) -> None:
        log_lines()
        gc.set_threshold(GARBAGE)
        # Of tokenizers, which else have one for each processor of the machine.
        os.environ.setdefault("RAYON_NUM_THREADS", str(options.threads))
        self.serving = serving(options)
        if options.only is None:
            open_lane(self.serving.inference)

    def __serve_build_asgi_app__(self) -> Any:
        return self.serving.http


def _method(name: str) -> Any:
    async def call(self: Replica, message: Any, grpc_context: Any) -> Any:
        return await self.serving.grpc.call(name, message, grpc_context)

    call.__name__ = name
    return call


for _name in chain.from_iterable(SERVICES.values()):
    setattr(Replica, _name, _method(_name))
