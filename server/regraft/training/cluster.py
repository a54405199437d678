"""A Ray to train on: the cluster at an address, or one of our own on this machine."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping

import ray

from regraft.errors import InvalidInputError
from regraft.registry.ray_token import let_in
from regraft.serving.sessions import available_cpus
from regraft.settings import Settings

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Of every process that trains."""
SERVE, CONTROL, TRAIN = ROLES = "serve", "control", "train"
"""What nodes can be for, as Ray's custom resources: replicas, the control plane, adaptations."""
PLENTY, LITTLE = 1000, 0.001
"""What such a node has of its resource, and what each process takes that belongs there."""


def role(name: str, settings: Settings) -> dict[str, float]:
    """The custom resources that a process of this role asks for."""
    return {name: LITTLE} if settings.roles else {}


def missing_roles(settings: Settings) -> list[str]:
    """The roles that a server needs to begin and no node of the connected cluster has yet."""
    needed = (SERVE, CONTROL) if settings.roles else ()
    return [name for name in needed if not _nodes({name: LITTLE})]


def is_connected() -> bool:
    return bool(ray.is_initialized())


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
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    let_in(settings)
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


def most_running(settings: Settings) -> int:
    """How many adaptations the cluster that is connected works on at a time."""
    processors = int(ray.cluster_resources().get("CPU", 0))
    return settings.max_running or max(2, processors // 2)


def check_workers(workers: int | None, settings: Settings) -> None:
    """Refuse more workers than this can ever have: the cluster that is connected, or else the
    machine on which a Ray would be started. A cluster that is yet to be joined is asked later."""
    if workers is None:
        return
    if ray.is_initialized():
        gpus = ray.cluster_resources().get("GPU", 0) > 0
        gpu = gpus if settings.use_gpu is None else settings.use_gpu
        check_fits(workers, gpu, role(TRAIN, settings))
    elif settings.address is None and not settings.use_gpu:
        _refuse(workers, "CPU", available_cpus())


def free_processors() -> int:
    return int(ray.available_resources().get("CPU", 0))


def processors_each(workers: int, free: int, needs: Mapping[str, float]) -> int:
    """How many processors each of so many workers can have, of which none is on two nodes, on
    nodes that have what it needs besides."""
    nodes = [int(has.get("CPU", 0)) for has in _nodes(needs)]
    return shared_out(nodes, workers, min(free, sum(nodes)))


def is_on_several_nodes() -> bool:
    """Of a single one nobody takes notice that it is to go: its workers go with it."""
    return len(_nodes({})) > 1


def _nodes(needs: Mapping[str, float]) -> list[dict[str, float]]:
    """The resources of each node that has these among them."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [has for has in alive if all(has.get(name, 0) > 0 for name in needs)]


def shared_out(nodes: list[int], workers: int, free: int) -> int:
    """The greatest share of `free` processors that nodes with so many can give each worker; at
    least one."""
    shares = range(free // workers, 1, -1)
    return next((s for s in shares if sum(has // s for has in nodes) >= workers), 1)


def check_fits(workers: int, gpu: bool, needs: Mapping[str, float]) -> None:
    """Refuse what the nodes of this cluster that have what workers need besides can never give."""
    kind = "GPU" if gpu else "CPU"
    _refuse(workers, kind, sum(has.get(kind, 0) for has in _nodes(needs)))


def _refuse(workers: int, kind: str, total: float) -> None:
    if workers > total:
        raise InvalidInputError(
            f"{workers} workers need {workers} {kind}s, but the cluster has {total:g}. "
            f"Ask for at most --workers {int(total)}."
        )
