"""Features of many rows by several processes of a cluster: a pipeline of Ray Data.

Rows travel to the processes in groups, and features back, a few groups at a time (Ray Data's own
back-pressure), so that neither has to fit into memory: rows that are files are read where they are
needed, and what comes back is written to where its reader wants it.
"""

import contextlib
import io
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

import numpy as np
import ray
import ray.data
from ray import cloudpickle

from regraft.contract import Array
from regraft.domain import Contents
from regraft.errors import RegraftError, RunFailedError
from regraft.features import Batches
from regraft.plugins import Plugins
from regraft.registry.manifest import InputsRecord
from regraft.registry.store import Registry
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime
from regraft.settings import Settings
from regraft.threads import TRAINING, yield_soon
from regraft.training.cluster import TRAIN, check_fits, free_processors, processors_each, role

LEAST = 32
"""Batches from which on it pays to start processes for them, which takes some seconds."""
MAX_FAILURES = 3
"""Of one process, or of one batch: it may be what ends its process."""
IDLE_SECONDS = 0.5
GROUPS = 8
"""Batches of one Ray task: short enough for progress, long enough for what a task costs."""


@dataclass(frozen=True)
class Extraction:
    """What a process needs that computes features: the blob of the backbone, and the task as it
    encodes rows."""

    backbone: str
    task: str
    inputs: InputsRecord
    labels: tuple[str, ...]
    settings: Settings
    workers: int

    def over(self, rows: Sequence[Any], batches: Sequence[Array]) -> Batches:
        """Batches of features, by so many processes of the connected cluster: a
        `regraft.features.Run`."""
        return _running(self, rows, batches)


class Extractor:
    """One such process. Made by Ray Data, which hands it batches."""

    def __init__(self, extraction: Extraction, runtime: Runtime) -> None:
        yield_soon()
        os.nice(TRAINING)
        blobs = Registry.of(extraction.settings).blobs
        self.backbone = Backbone(blobs.verified(extraction.backbone), runtime)
        task = Plugins.load().task(extraction.task)
        self.task = task(extraction.inputs.restore(task.inputs_type, blobs), extraction.labels)

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        rows = cloudpickle.loads(item["rows"])
        found = self.backbone.outputs(self.task.encode([rows[n] for n in range(len(rows))]))
        return {"number": item["number"], "features": _packed(found)}


def _running(extraction: Extraction, rows: Sequence[Any], batches: Sequence[Array]) -> Batches:
    """Pulled by a thread of its own: who waits for processors can be told to stop."""
    _quiet()
    came: Queue[Any] = Queue(2)
    stopped = threading.Event()
    pulling = threading.Thread(
        target=_pull, args=(_pipeline(extraction, rows, batches), came, stopped), daemon=True
    )
    pulling.start()
    try:
        while True:
            try:
                found = came.get(timeout=IDLE_SECONDS)
            except Empty:
                yield None
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise _told(found) from found
            yield int(found["number"]), _unpacked(found["features"])
    finally:
        stopped.set()
        with contextlib.suppress(Empty):
            while True:
                came.get_nowait()


def _pull(pipeline: ray.data.Dataset, came: "Queue[Any]", stopped: threading.Event) -> None:
    try:
        for row in pipeline.iter_rows():
            if stopped.is_set():
                return
            came.put(row)
        came.put(None)
    except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for rows
        came.put(error)


def _pipeline(
    extraction: Extraction, rows: Sequence[Any], batches: Sequence[Array]
) -> ray.data.Dataset:
    gpu, needs = _on_gpus(extraction.settings), role(TRAIN, extraction.settings)
    check_fits(extraction.workers, gpu, needs)
    threads = 1 if gpu else processors_each(extraction.workers, free_processors(), needs)
    items = [
        {"number": number, "rows": cloudpickle.dumps(_taken(rows, batch))}
        for number, batch in enumerate(batches)
    ]
    blocks = max(extraction.workers, len(items) // GROUPS)
    return ray.data.from_items(items, override_num_blocks=min(blocks, len(items))).map(
        Extractor,
        fn_constructor_args=(extraction, Runtime(threads, gpu)),
        compute=ray.data.ActorPoolStrategy(size=extraction.workers),
        num_cpus=threads,
        num_gpus=1 if gpu else None,
        resources=needs,
        max_restarts=MAX_FAILURES,
        max_task_retries=MAX_FAILURES,
    )


def _told(error: BaseException) -> Exception:
    """The processes' own error, if it is one that is for users."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RegraftError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    return RunFailedError(f"Features could not be computed: {lines[-1] if lines else error!r}")


def _on_gpus(settings: Settings) -> bool:
    has = ray.cluster_resources().get("GPU", 0) > 0
    return has if settings.use_gpu is None else settings.use_gpu


def _taken(rows: Sequence[Any], batch: Array) -> Sequence[Any]:
    """The rows of a batch; of files that lie somewhere only their places."""
    chosen = [int(index) for index in batch]
    return rows.take(chosen) if isinstance(rows, Contents) else [rows[index] for index in chosen]


def _packed(arrays: Sequence[Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    return buffer.getvalue()


def _unpacked(packed: bytes) -> list[Array]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]


def _quiet() -> None:
    """Ray Data writes bars and plans to the terminal, which is ours."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    # Others may have all processors for hours.
    context.execution_no_progress_timeout_s = -1
    logging.getLogger("ray.data").setLevel(logging.WARNING)
