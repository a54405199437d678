"""Ray Train around the loop: workers, failures, progress and cancelling."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from regraft.domain import JSON
from regraft.errors import CancelledRunError, RunFailedError
from regraft.training.build import Recipe
from regraft.training.clock import Clock
from regraft.training.cluster import check_fits, is_on_several_nodes, processors_each
from regraft.training.mailbox import Mailbox
from regraft.training.outcomes import validated
from regraft.training.watching import watched
from regraft.training.worker import train_worker

MAX_FAILURES = 3
CONTROLLER_SECONDS = "0.5"
"""How often Ray's controller asks its workers; so late it hears that they are through."""


NEEDLESS = {"DatasetsCallback", "PlacementGroupCleanerCallback"}
"""What Ray Train starts a process for at each run that has nothing to do in ours: they read no Ray
dataset, and the cleaner asks a dashboard that servers and nodes do without (see `groups`)."""


Parts = dict[str, tuple[Any, ...]]
"""Rows and targets of `train` and `validation`; those of `train` are followed by rows without
labels."""


@dataclass(frozen=True)
class TrainingRequest:
    """One run of Ray Train. `deadline` is the time, as `time.time` tells it, at which it ends with
    the best so far; with `whole` it fails as soon as it shows that it would not be through, which
    it is after so many `epochs` of the plan if not all."""

    recipe: Recipe
    parts: Parts
    directory: Path
    workers: int | None
    use_gpu: bool | None
    deadline: float | None = None
    whole: bool = False
    epochs: int | None = None
    needs: Mapping[str, float] = field(default_factory=dict)
    """Custom resources of each worker."""


@dataclass(frozen=True)
class Watcher:
    """The driver's side: it is told of progress and says whether to stop."""

    report: Callable[[str, JSON], None]
    cancelled: Callable[[], bool]


class Trainer(TorchTrainer):  # type: ignore[misc]
    """Ray's, less the processes that are needless here."""

    def _create_default_callbacks(self) -> list[Any]:
        found = super()._create_default_callbacks()
        return [callback for callback in found if type(callback).__name__ not in NEEDLESS]


def train_on_ray(request: TrainingRequest, watcher: Watcher) -> JSON:
    """Train on the connected cluster; the best epoch's metrics on the validation part."""
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", CONTROLLER_SECONDS)
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", str(int(is_on_several_nodes())))
    scaling = _scaling(request, watcher)
    mailbox: Any = ray.remote(num_cpus=0, max_restarts=3, scheduling_strategy=_here())(
        Mailbox
    ).remote()
    trainer = Trainer(
        train_worker,
        train_loop_config={
            "recipe": request.recipe,
            "parts": ray.put(request.parts),
            "directory": str(request.directory),
            "mailbox": mailbox,
            "clock": Clock(request.deadline, request.whole),
            "epochs": request.epochs,
            "threads": int(scaling.resources_per_worker["CPU"]),
        },
        scaling_config=scaling,
        run_config=RunConfig(
            name=f"attempt-{time.time_ns()}",
            storage_path=str(request.directory / "ray"),
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
        ),
    )
    try:
        _fit(trainer, mailbox, watcher)
        outcome: JSON | None = ray.get(mailbox.outcome.remote())
    finally:
        ray.kill(mailbox)
    if outcome is not None and outcome["state"] == "expired" and not request.whole:
        watcher.report("expired", {"epochs": outcome["epochs"]})
    return validated(outcome, request.whole)


def _here() -> NodeAffinitySchedulingStrategy:
    """On the node of this process: what the run needs besides its workers goes only with it."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _scaling(request: TrainingRequest, watcher: Watcher) -> ScalingConfig:
    """As many workers as were asked for, or one a GPU, or one with all CPUs."""
    total = ray.cluster_resources()
    gpus = int(total.get("GPU", 0))
    gpu = gpus > 0 if request.use_gpu is None else request.use_gpu
    workers = request.workers or (gpus if gpu else 1)
    check_fits(workers, gpu, request.needs)
    kind = "GPU" if gpu else "CPU"
    free = ray.available_resources().get(kind, 0)
    if free < workers:
        watcher.report("waiting", {"needs": workers, "free": free, "of": kind})
    cpus = 1 if gpu else processors_each(workers, int(free), request.needs)
    return ScalingConfig(
        num_workers=workers,
        use_gpu=gpu,
        resources_per_worker={"CPU": cpus, **_gpu(gpu), **request.needs},
    )


def _gpu(gpu: bool) -> dict[str, float]:
    return {"GPU": 1} if gpu else {}


def _fit(trainer: Trainer, mailbox: Any, watcher: Watcher) -> None:
    """Train to the end and pass progress on."""
    try:
        watched(trainer.fit, watcher.cancelled, lambda asked: _collect(mailbox, asked, watcher))
    except CancelledRunError:
        raise
    except BaseException as error:
        raise RunFailedError(_reason(error)) from error


def _collect(mailbox: Any, cancelled: bool, watcher: Watcher) -> None:
    for kind, data in ray.get(mailbox.collect.remote(cancelled)):
        watcher.report(kind, data)


def _reason(error: BaseException) -> str:
    """The worker's own error where Ray tells it, without the stack."""
    inner = getattr(error, "worker_failures", None)
    first = next(iter(inner.values()), error) if inner else error
    lines = [line for line in str(first).strip().splitlines() if line.strip()]
    return f"Training failed after {MAX_FAILURES} retries: {lines[-1] if lines else first!r}"
