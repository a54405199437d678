"""The control plane as Ray Serve starts it."""

from functools import partial
from typing import Any

from regraft.adaptations.actor import launch
from regraft.api.app import build_app
from regraft.api.cluster_metrics import cluster_metrics
from regraft.api.services import Services
from regraft.identity.authenticator import anybody
from regraft.plugins import Plugins
from regraft.reconcile.applications import DedicatedApplications
from regraft.reconcile.guard import Guard
from regraft.reconcile.placing import Placer
from regraft.reconcile.reconciler import Reconciler
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft.training.cluster import check_workers


class ControlPlane:
    """One replica; its state is the registry's, so another can take its place."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __serve_build_asgi_app__(self) -> Any:
        settings = self.settings
        registry = Registry(settings.resolved_home, settings.database)
        services = Services(
            registry=registry,
            plugins=Plugins.load(),
            settings=settings,
            launch=partial(launch, settings=settings, registry=registry),
            metrics=cluster_metrics,
            admit=lambda spec: check_workers(spec.workers, settings),
            authenticate=registry.keys.authenticator() if settings.auth else anybody,
        )
        placer = Placer(registry, DedicatedApplications(settings))
        steps = (registry.feedback.ingest, placer.step, Guard(registry).step)
        Reconciler(steps).start()
        return build_app(services)
