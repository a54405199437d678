"""Several trainings under Ray Tune: where time is scarce the worse end early, so that the better
get theirs."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from regraft.domain import JSON
from regraft.errors import RunFailedError
from regraft.threads import TRAINING
from regraft.training.groups import note_group
from regraft.training.watching import watched

SCORE, PLAIN, LOSS, SECONDS = "score", "plain_loss", "loss", "seconds"
GRACE, HALVING = 2, 2
"""Epochs before one may be ended, and the share of them that goes on, as its inverse."""
MOST_EPOCHS = 100
_OURS = re.compile(rf"{RunFailedError.__module__}\.\w+: ")
"""Before the reason of a training that failed for one."""


@dataclass(frozen=True)
class Result:
    """How far one of them came: its best score on the validation part and the loss of that epoch,
    or why it has none."""

    name: str
    score: float | None
    loss: float | None
    seconds: float
    epochs: int
    reason: str | None = None


@dataclass(frozen=True)
class Search:
    """`trial(name, tell)` trains one, with so many CPUs, and calls `tell(score, plain, loss)` after
    each epoch; it travels to other processes. The best epoch is that of the highest score, then of
    the least plain loss, as in the loop that keeps it; the loss is to compare it with others.
    `cancelled` is asked in this process, and `cancel` tells the trials to stop."""

    names: Sequence[str]
    trial: Callable[[str, Callable[[float, float, float], None]], None]
    cancelled: Callable[[], bool]
    cancel: Callable[[], None]
    directory: Path
    cpus: int
    use_gpu: bool
    halves: bool
    """Whether the worse end early. Which do depends on who is the first to tell, and so on time."""
    needs: Mapping[str, float] = field(default_factory=dict)
    """Custom resources of each trial."""


def search(what: Search) -> list[Result]:
    """Every training's result, in the order of the names. Source of the scheduler: Li et al. 2020,
    A System for Massively Parallel Hyperparameter Tuning."""
    trial, directory = what.trial, what.directory

    def trainable(config: JSON) -> None:
        os.setpriority(os.PRIO_PROCESS, 0, TRAINING)
        note_group(directory)
        start = time.perf_counter()

        def tell(score: float, plain: float, loss: float) -> None:
            seconds = time.perf_counter() - start
            tune.report({SCORE: score, PLAIN: plain, LOSS: loss, SECONDS: seconds})

        trial(config["name"], tell)

    resources = {"cpu": what.cpus, "gpu": int(what.use_gpu), **what.needs}
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        param_space={"name": tune.grid_search(list(what.names))},
        tune_config=tune.TuneConfig(
            scheduler=_halving() if what.halves else None,
        ),
        run_config=tune.RunConfig(storage_path=str(what.directory), name="search", verbose=0),
    )
    grid = watched(tuner.fit, what.cancelled, lambda asked: what.cancel() if asked else None)
    found = {str(one.config["name"]): _result(one) for one in grid}
    return [found[name] for name in what.names]


def _halving() -> ASHAScheduler:
    return ASHAScheduler(
        metric=LOSS,  # Of few rows it tells more than a score.
        mode="min",
        max_t=MOST_EPOCHS,
        grace_period=GRACE,
        reduction_factor=HALVING,
    )


def _result(one: Any) -> Result:
    name, metrics = str(one.config["name"]), one.metrics_dataframe
    if one.error is not None or metrics is None or SCORE not in metrics:
        lines = str(one.error or "it did not come to an end").strip().splitlines()
        return Result(name, None, None, 0.0, 0, _OURS.sub("", lines[-1], count=1))
    best = metrics.sort_values([SCORE, PLAIN], ascending=[False, True]).iloc[0]
    return Result(
        name,
        float(best[SCORE]),
        float(best[LOSS]),
        float(metrics[SECONDS].max()),
        len(metrics),
    )
