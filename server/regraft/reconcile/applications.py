"""The applications on Ray Serve. Nothing else calls Serve's deploy functions."""

from typing import Any

from ray import serve

from regraft.reconcile.ports import is_loopback
from regraft.serving.batcher import Limits
from regraft.serving.replica import Replica, ReplicaOptions
from regraft.serving.sessions import available_cpus
from regraft.settings import Settings

POOL = "pool"
CONTROL = "control"
HEALTH_SECONDS = 2
ONGOING = 2000


GRPC_SERVICES = "regraft.serving.grpc_service.add_services"


def start_serve(settings: Settings, port: int, grpc_port: int) -> None:
    """Serve's controller and entry on this cluster."""
    serve.start(
        http_options={"host": settings.host, "port": port, "access_log": False},
        grpc_options={
            "port": grpc_port,
            "grpc_servicer_functions": [GRPC_SERVICES],
            "enable_reflection": False,
        },
    )


def deploy_pool(settings: Settings) -> None:
    """The shared pool at `/v2`: every endpoint, without a database. It reserves no CPU, so that
    training has them all; its threads are bounded instead."""
    options = ReplicaOptions(
        root=settings.resolved_home,
        threads=settings.threads or max(1, available_cpus() // settings.replicas),
        limits=Limits(settings.max_batch_rows, settings.max_queued_rows),
        max_body=settings.max_body,
        max_json=settings.max_json,
        poll_interval=settings.poll_interval,
        gpu=bool(settings.use_gpu),
        local=is_loopback(settings.host),
    )
    pool = _deployment(Replica, "Pool", settings.replicas, ONGOING)
    serve.run(pool.bind(options), name=POOL, route_prefix="/v2")


def deploy_control(control: type, settings: Settings) -> None:
    """The control plane at `/`, by the class that the caller brings."""
    app = _deployment(control, "Control", 1, 200)
    serve.run(app.bind(settings), name=CONTROL, route_prefix="/")


def _deployment(kind: type, name: str, replicas: int, ongoing: int) -> Any:
    return serve.deployment(serve.ingress()(kind)).options(
        name=name,
        num_replicas=replicas,
        max_ongoing_requests=ongoing,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=5,
        ray_actor_options={"num_cpus": 0},
        logging_config={"enable_access_log": False},
    )
