"""The applications on Ray Serve. Nothing else calls Serve's deploy functions."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ray import serve

from regraft.domain import Placement
from regraft.identity.issuer import issuer_of
from regraft.reconcile.environment import ANSWER_SECONDS
from regraft.reconcile.placing import HIDDEN, Standing
from regraft.reconcile.ports import is_loopback
from regraft.registry.blobs import write_atomically
from regraft.serving.replica import Replica, ReplicaOptions
from regraft.serving.sessions import available_cpus
from regraft.serving.traces import environment
from regraft.serving.waiting import Limits
from regraft.settings import Settings
from regraft.training import cluster

POOL = "pool"
CONTROL = "control"
DEDICATED = "endpoint-"
"""Before the name of an endpoint in that of its application."""
HEALTH_SECONDS = 2
ENDS = 5.0
"""Seconds for which the control plane may go on answering when it is to end; a replica that
predicts ends what it computes."""
ONGOING = 2000
AT_ONCE = 100
"""Percent of its replicas that an application may have more of while they are replaced: none goes
before another has loaded."""
UPSCALE_SECONDS = 3.0
MEASURE_SECONDS = 1.0


GRPC_SERVICES = "regraft.serving.grpc_service.add_services"


def start_serve(settings: Settings, port: int, grpc_port: int) -> None:
    """Serve's controller and entry on this cluster."""
    serve.start(
        proxy_location="EveryNode",
        http_options={"host": settings.host, "port": port, "access_log": False},
        grpc_options={
            "port": grpc_port,
            "grpc_servicer_functions": [GRPC_SERVICES],
            "enable_reflection": False,
        },
    )


def stands(record: Path, settings: Settings) -> bool:
    """Whether both applications run already as these settings and this version want them, as where
    a server begins again on a cluster that went on. Serve would replace every replica."""
    found = serve.status().applications
    running = all(name in found and found[name].status == "RUNNING" for name in (POOL, CONTROL))
    return running and record.exists() and record.read_text() == _wanted(settings)


def note(record: Path, settings: Settings) -> None:
    """Keep by what they were deployed."""
    write_atomically(record, _wanted(settings).encode())


def _wanted(settings: Settings) -> str:
    """The settings hold secrets, such as the password of a database."""
    return _hashed(f"{version('regraft')} {settings!r}")


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def deploy_pool(settings: Settings) -> None:
    serve.run(pool(settings), name=POOL, route_prefix="/v2")


def pool(settings: Settings) -> Any:
    """The shared pool, which is to be at `/v2`: every endpoint, without a database. It reserves no
    CPU, so that training has them all; its threads are bounded instead."""
    threads = settings.threads or max(1, available_cpus() // settings.replicas)
    options = replica_options(settings, threads, bool(settings.use_gpu))
    each = settings.replicas_per_node
    spread = {} if each is None else {"max_replicas_per_node": each}
    made = _deployment(
        Replica,
        "Pool",
        cluster.SERVE,
        settings,
        ONGOING,
        num_replicas=settings.replicas,
        **spread,
    )
    return made.bind(options)


def replica_options(
    settings: Settings, threads: int, gpu: bool, only: str | None = None
) -> ReplicaOptions:
    return ReplicaOptions(
        root=settings.resolved_home,
        threads=threads,
        limits=Limits(settings.max_batch_rows, settings.max_queued_rows),
        max_body=settings.max_body,
        max_json=settings.max_json,
        poll_interval=settings.poll_interval,
        backbones=settings.max_backbones,
        cached=settings.max_cached,
        gpu=gpu,
        local=is_loopback(settings.host),
        auth=settings.auth,
        issuer=issuer_of(settings),
        rate=settings.max_rate,
        artifacts=settings.artifacts,
        node_cache=settings.node_cache,
        only=only,
    )


class DedicatedApplications:
    """Applications with the replicas of one endpoint each."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def standing(self) -> dict[str, Standing]:
        return {
            name.removeprefix(DEDICATED): Standing(found.status == "RUNNING", found.message)
            for name, found in serve.status().applications.items()
            if name.startswith(DEDICATED) and found.status != "DELETING"
        }

    def deploy(self, name: str, placement: Placement, prefix: str) -> None:
        """Start it, or change what is different; returns before its replicas are there."""
        bound = _dedicated(name, placement, self.settings, prefix in HIDDEN)
        serve.run_many(
            [serve.RunTarget(bound, f"{DEDICATED}{name}", prefix)],
            wait_for_ingress_deployment_creation=False,
            wait_for_applications_running=False,
        )

    def delete(self, name: str) -> None:
        serve.delete(f"{DEDICATED}{name}", _blocking=False)


def _threads(placement: Placement, settings: Settings) -> int:
    """As many as a replica has processors; the setting's, which is made for those of the pool, only
    where it is to have none of its own."""
    return max(1, int(placement.cpus)) if placement.cpus else settings.threads or 1


def _dedicated(name: str, placement: Placement, settings: Settings, comes: bool) -> Any:
    """While it `comes` it is told how many replicas it begins with: whenever it is told so, Ray has
    as many from then on, however many its load needs."""
    options = replica_options(
        settings, _threads(placement, settings), placement.gpus > 0, only=name
    )
    deployment = _deployment(Replica, "Endpoint", cluster.SERVE, settings, ONGOING).options(
        # Without one Ray takes each deployment for new code, and replaces what runs.
        version=_hashed(f"{version('regraft')} {options!r}"),
        _internal=True,
        max_surge_percent=AT_ONCE,
        ray_actor_options=_actor(
            cluster.SERVE, settings, num_cpus=placement.cpus, num_gpus=placement.gpus
        ),
        autoscaling_config={
            "min_replicas": placement.min_replicas,
            **({"initial_replicas": max(1, placement.min_replicas)} if comes else {}),
            "max_replicas": placement.max_replicas,
            "target_ongoing_requests": placement.target_ongoing,
            "upscale_delay_s": UPSCALE_SECONDS,
            "downscale_delay_s": placement.idle_seconds,
            "metrics_interval_s": MEASURE_SECONDS,
            "look_back_period_s": UPSCALE_SECONDS,
        },
    )
    return deployment.bind(options)


def deploy_control(kind: type, settings: Settings) -> None:
    serve.run(control(kind, settings), name=CONTROL, route_prefix="/")


def control(kind: type, settings: Settings) -> Any:
    """The control plane, which is to be at `/`, by the class that the caller brings."""
    made = _deployment(kind, "Control", cluster.CONTROL, settings, 200, num_replicas=1)
    return made.bind(settings)


def _deployment(
    kind: type, name: str, role: str, settings: Settings, ongoing: int, **more: Any
) -> Any:
    return serve.deployment(serve.ingress()(kind)).options(
        name=name,
        max_ongoing_requests=ongoing,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=ANSWER_SECONDS if kind is Replica else ENDS,
        ray_actor_options=_actor(role, settings, num_cpus=0),
        # Ray would put together a line for each request, and then drop it.
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
        **more,
    )


def _actor(role: str, settings: Settings, **resources: float) -> dict[str, Any]:
    """Replicas on other nodes trace as this process was told to."""
    variables = environment()
    return {
        **resources,
        "resources": cluster.role(role, settings),
        **({"runtime_env": {"env_vars": variables}} if variables else {}),
    }
