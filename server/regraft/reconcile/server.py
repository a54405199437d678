"""The life of a server on this machine: it leaves nothing behind, and finds what others left."""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from regraft.reconcile.environment import Instance, ingress_note, serve_environment
from regraft.reconcile.orphans import end_orphans
from regraft.reconcile.ports import require_free_port
from regraft.reconcile.signals import stop_on_signals
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft.training import cluster

GRACE = 2.0


@contextmanager
def running(settings: Settings, control: type, say: Callable[[str], None]) -> Iterator[str]:
    """A server that answers inside; its URL. Everything that it started ends with it.

    SIGTERM and Ctrl-C raise KeyboardInterrupt, also while it starts.
    """
    registry = Registry(settings.resolved_home, settings.database)
    instance = Instance(settings.resolved_home, settings.ray_temp_dir, settings.max_body)
    port = settings.port or _free_port(settings.host)
    url = f"http://{_reachable(settings.host)}:{port}"
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
    applications.start_serve(settings, port)
    applications.deploy_pool(settings)
    applications.deploy_control(control, settings)


def _stop(settings: Settings) -> None:
    """Serve's draining first; what does not end by itself is ended as an orphan."""
    import ray
    from ray import serve

    if ray.is_initialized():
        serve.shutdown()
        ray.shutdown()


def _free_port(host: str) -> int:
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "") else host
