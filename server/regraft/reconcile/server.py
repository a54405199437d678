"""The life of a server on this machine: it leaves nothing behind, and finds what others left."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from regraft.reconcile.environment import Instance, ingress_note, serve_environment
from regraft.reconcile.orphans import end_orphans
from regraft.reconcile.ports import free_port, require_free_port
from regraft.reconcile.signals import stop_on_signals
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft.training import cluster

GRACE = 2.0
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@contextmanager
def running(settings: Settings, control: type, say: Callable[[str], None]) -> Iterator[str]:
    """A server that answers inside; its URL. Everything that it started ends with it.

    SIGTERM and Ctrl-C raise KeyboardInterrupt, also while it starts.
    """
    registry = Registry(settings.resolved_home, settings.database)
    instance = Instance(settings.resolved_home, settings.ray_temp_dir, settings.max_body)
    port = settings.port or free_port(settings.host)
    url = _url(settings.host, port)
    with registry.home.owned_by(url):
        end_orphans(instance.id, GRACE)
        require_free_port(settings.host, port)
        os.environ.update(serve_environment(instance))
        note = ingress_note()
        if note:
            say(note)
        registry.runs.abandon()
        registry.models.synchronise()
        stop_on_signals()
        try:
            _deploy(settings, control, port)
            yield url
        finally:
            _stop(settings)
            end_orphans(instance.id, GRACE)


def _deploy(settings: Settings, control: type, port: int) -> None:
    cluster.start(settings)
    stop_on_signals()
    from regraft.reconcile import applications

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    applications.start_serve(_listening(settings), port)
    applications.deploy_pool(settings)
    applications.deploy_control(control, settings)


def _stop(settings: Settings) -> None:
    """Serve's draining first; what does not end by itself is ended as an orphan."""
    import ray
    from ray import serve

    if ray.is_initialized():
        try:
            _end_applications(serve, joined=settings.address is not None)
        finally:
            ray.shutdown()


def _end_applications(serve: Any, joined: bool) -> None:
    """A cluster that was there before may serve other applications: they go on."""
    if not joined:
        serve.shutdown()
        return
    from regraft.reconcile.applications import CONTROL, POOL

    for name in serve.status().applications.keys() & {POOL, CONTROL}:
        serve.delete(name)


def _listening(settings: Settings) -> Settings:
    """Ray has HAProxy bind `*` for the host `::`, which is IPv4 alone (measured with HAProxy 2.8);
    the same address in another spelling it hands on, and HAProxy binds both."""
    return settings.model_copy(update={"host": "::0"}) if settings.host == "::" else settings


def _url(host: str, port: int) -> str:
    """Where a server that listens on `host` answers on this machine."""
    reachable = LOOPBACK.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
