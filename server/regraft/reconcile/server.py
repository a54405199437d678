"""The life of a server on this machine: it leaves nothing behind, and finds what others left."""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from regraft.errors import InvalidInputError
from regraft.identity.issuer import issuer_of
from regraft.reconcile.environment import (
    Instance,
    alone_environment,
    entry_environment,
    ingress_note,
    serve_environment,
)
from regraft.reconcile.orphans import drain_entries, end_orphans
from regraft.reconcile.ports import free_port, is_loopback, require_free_port, require_head
from regraft.reconcile.signals import stop_on_signals
from regraft.registry.home import Home
from regraft.registry.store import Registry
from regraft.serving.traces import check_traces
from regraft.settings import Settings
from regraft.training import cluster

GRACE, DRAIN_SECONDS = 2.0, 5.0
GRPC_PORT = 8001
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Addresses:
    """Where a server answers on this machine: a URL, and for gRPC HOST:PORT."""

    url: str
    grpc: str


@contextmanager
def running(settings: Settings, control: type, say: Callable[[str], None]) -> Iterator[Addresses]:
    """A server that answers inside. Everything that it started ends with it.

    SIGTERM and Ctrl-C raise KeyboardInterrupt, also while it starts.
    """
    check_traces()
    check_exposure(settings)
    issuer_of(settings)
    if settings.address is not None:
        require_head(settings.address)
    registry = Registry.of(settings)
    registry.blobs.check()
    instance = Instance(settings.resolved_home, settings.ray_temp_dir, settings.max_body)
    ports = _ports(settings)
    at = Addresses(*(_reachable(settings.host, port) for port in ports))
    at = replace(at, url=f"http://{at.url}")
    with registry.home.owned_by(at.url, at.grpc):
        _end_orphans(settings, instance)
        for port in ports:
            require_free_port(settings.host, port)
        os.environ.update(serve_environment(instance))
        os.environ.update(entry_environment(settings))
        if settings.address is None:
            os.environ.update(alone_environment())
        note = ingress_note()
        if note:
            say(note)
        registry.models.synchronise()
        registry.home.stopping.unlink(missing_ok=True)
        stop_on_signals()
        try:
            _deploy(settings, control, ports, say)
            yield at
        finally:
            with contextlib.suppress(OSError):  # such as a disk that is full: then it stops so
                registry.home.stopping.touch()
            if settings.address is None:
                drain_entries(instance.id, DRAIN_SECONDS)
            _stop(settings)
            _end_orphans(settings, instance)


def _end_orphans(settings: Settings, instance: Instance) -> None:
    """The nodes of a cluster that was there before are no orphans."""
    if settings.address is None:
        end_orphans(instance.id, GRACE)


def check_exposure(settings: Settings) -> None:
    """InvalidInputError if others could reach a server that asks nobody for a key."""
    if not settings.auth and not is_loopback(settings.host):
        raise InvalidInputError(
            f"On {settings.host} others than this machine reach the server: make it ask for API "
            "keys with REGRAFT_AUTH=true (`regraft keys create` makes one), or listen on 127.0.0.1."
        )


def _ports(settings: Settings) -> tuple[int, int]:
    """Of HTTP and of gRPC, which differ."""
    port = settings.port or free_port(settings.host)
    usual = GRPC_PORT if settings.port else 0
    wanted = usual if settings.grpc_port is None else settings.grpc_port
    other = wanted or free_port(settings.host)
    if port == other:
        raise InvalidInputError(f"HTTP and gRPC cannot share port {port} (--port, --grpc-port).")
    return port, other


def _deploy(
    settings: Settings, control: type, ports: tuple[int, int], say: Callable[[str], None]
) -> None:
    cluster.start(settings)
    for name in cluster.missing_roles(settings):
        say(f"waiting for a node of the cluster with `--role {name}`")
    stop_on_signals()
    from regraft.reconcile import applications

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    applications.start_serve(_listening(settings), *ports)
    home = Home(settings.resolved_home)
    record = home.deployed
    if applications.stands(record, settings):
        return
    # Replicas that went on would go on counting.
    shutil.rmtree(home.statistics, ignore_errors=True)
    applications.deploy_pool(settings)
    applications.deploy_control(control, settings)
    applications.note(record, settings)


def _stop(settings: Settings) -> None:
    """Serve's draining first; what does not end by itself is ended as an orphan. Ray would print
    that the task failed which it waits for: its process ends itself when all is done."""
    import ray
    from ray import serve

    if ray.is_initialized():
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            try:
                _end_applications(serve, joined=settings.address is not None)
            finally:
                ray.shutdown()


def _end_applications(serve: Any, joined: bool) -> None:
    """A cluster that was there before may serve other applications: they go on."""
    if not joined:
        serve.shutdown()
        return
    from regraft.reconcile.applications import CONTROL, DEDICATED, POOL

    for name in serve.status().applications:
        if name in (POOL, CONTROL) or name.startswith(DEDICATED):
            serve.delete(name)


def _listening(settings: Settings) -> Settings:
    """Ray has HAProxy bind `*` for the host `::`, which is IPv4 alone (measured with HAProxy 2.8);
    the same address in another spelling it hands on, and HAProxy binds both."""
    return settings.model_copy(update={"host": "::0"}) if settings.host == "::" else settings


def _reachable(host: str, port: int) -> str:
    """The address on this machine of a server that listens on `host`."""
    reachable = LOOPBACK.get(host, host)
    return f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}"
