"""A Ray to train on: the cluster at an address, or one of our own on this machine."""

import contextlib
import logging
import os
from collections.abc import Iterator

import ray

from regraft.errors import InvalidInputError
from regraft.serving.sessions import available_cpus
from regraft.settings import Settings


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[None]:
    """Be connected to Ray inside; a Ray that was started for this ends with it."""
    if ray.is_initialized():
        yield
        return
    start(settings)
    try:
        yield
    finally:
        ray.shutdown()


def start(settings: Settings) -> None:
    """Join the cluster at `settings.address`, or start a local one with explicit CPUs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    local = {
        "num_cpus": available_cpus(),
        "include_dashboard": False,
        "_temp_dir": str(settings.ray_temp_dir),
    }
    ray.init(
        address=settings.address or "local",
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        **({} if settings.address else local),
    )


def check_fits(workers: int, gpu: bool) -> None:
    """Refuse what this cluster can never give."""
    kind = "GPU" if gpu else "CPU"
    total = ray.cluster_resources().get(kind, 0)
    if workers > total:
        raise InvalidInputError(
            f"{workers} workers need {workers} {kind}s, but the cluster has {total:g}. "
            f"Ask for at most --workers {int(total)}."
        )
