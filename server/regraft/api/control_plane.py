"""The control plane as Ray Serve starts it."""

import asyncio
from functools import partial
from typing import Any

from regraft.adaptations.actor import adopt, launch
from regraft.adaptations.queue import Queue
from regraft.api.app import build_app
from regraft.api.services import Services
from regraft.identity.authenticator import Authenticator, anybody
from regraft.identity.issuer import issuer_of
from regraft.identity.pace import paced
from regraft.logs import log_lines
from regraft.plugins import Plugins
from regraft.reconcile.applications import DedicatedApplications
from regraft.reconcile.guard import Guard
from regraft.reconcile.placing import Placer
from regraft.reconcile.reconciler import Hourly, Reconciler
from regraft.registry.cleaning import clean, retention_of
from regraft.registry.store import Registry
from regraft.serving.metrics import fold_metrics, prometheus
from regraft.serving.statistics import fold_statistics
from regraft.settings import Settings
from regraft.training.cluster import check_workers, most_running


def _fold(registry: Registry) -> None:
    """What replicas counted that are gone becomes one file of each kind."""
    endpoints = {one.name for one in registry.models.endpoints()}
    for fold in (fold_statistics, fold_metrics):
        fold(registry.home.statistics, endpoints)


class ControlPlane:
    """One replica; its state is the registry's, so another can take its place."""

    def __init__(self, settings: Settings) -> None:
        log_lines()
        self.settings = settings

    def __serve_build_asgi_app__(self) -> Any:
        settings = self.settings
        registry = Registry.of(settings)
        start = partial(launch, settings=settings, registry=registry)
        taken = partial(adopt, registry=registry)
        queue = Queue(registry.runs, start, taken, most_running(settings))
        known: Authenticator = anybody
        if settings.auth:
            known = paced(registry.keys.authenticator(issuer_of(settings)), settings.max_rate)
        services = Services(
            registry=registry,
            plugins=Plugins.load(),
            settings=settings,
            launch=lambda identifier: queue.step(),
            metrics=partial(asyncio.to_thread, prometheus, registry.home.statistics),
            admit=lambda spec: check_workers(spec.workers, settings),
            authenticate=known,
            apart=True,
        )
        placer = Placer(registry, DedicatedApplications(settings))
        cleaning = Hourly(partial(clean, registry, retention_of(settings)))
        steps = (
            queue.step,
            registry.feedback.ingest,
            placer.step,
            Guard(registry).step,
            cleaning.step,
            Hourly(partial(_fold, registry)).step,
        )
        Reconciler(steps).start()
        return build_app(services)
