"""A replica of the shared pool: the class that Ray Serve starts on a node."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from regraft.registry.home import Home
from regraft.serving.batcher import Batcher, Limits
from regraft.serving.http import build_app
from regraft.serving.inference import Caps, Inference
from regraft.serving.pool import new_pool
from regraft.serving.sessions import Runtime
from regraft.serving.telemetry import Afterwards, Telemetry


@dataclass(frozen=True)
class ReplicaOptions:
    """What a replica is told; sizes in bytes, times in seconds."""

    root: Path
    threads: int
    limits: Limits
    max_body: int
    max_json: int
    poll_interval: float
    gpu: bool = False


def serving_app(options: ReplicaOptions, telemetry: Telemetry) -> Starlette:
    """The protocol over the home at `options.root`, kept in step with its endpoint table."""
    home = Home(options.root)
    pool = new_pool(home, Runtime(options.threads, options.gpu, home.optimised))
    worker = ThreadPoolExecutor(1, thread_name_prefix="inference")
    batcher = Batcher(worker, options.limits, telemetry)
    caps = Caps(options.max_body, options.max_json)
    inference = Inference(pool, batcher, telemetry, caps, version("regraft"))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        """Load everything before the first request, then follow the table."""
        await pool.refresh_safely()
        following = asyncio.create_task(pool.follow(options.poll_interval))
        yield
        following.cancel()
        worker.shutdown(wait=False, cancel_futures=True)

    return build_app(inference, lifespan)


class Replica:
    """Made by Ray Serve, which asks it for its application once it is constructed."""

    def __init__(self, options: ReplicaOptions) -> None:
        logging.getLogger("regraft").setLevel(logging.INFO)
        self.options = options

    def __serve_build_asgi_app__(self) -> Any:
        from regraft.serving.ray_metrics import RayMetrics

        return serving_app(self.options, Afterwards(RayMetrics()))
