"""The two applications of a server as Ray Serve builds them from a configuration file.

On Kubernetes that is the `serveConfigV2` of a RayService, whose import paths are
`regraft.deployed:pool` (at `/v2`) and `regraft.deployed:control` (at `/`). Settings come from the
environment of the nodes. Applications of dedicated endpoints are the control plane's.
"""

from typing import Any

from regraft.api.control_plane import ControlPlane
from regraft.reconcile import applications
from regraft.reconcile.server import check_exposure
from regraft.registry.store import Registry
from regraft.settings import Settings


def pool() -> Any:
    """The shared pool of replicas; InvalidInputError for a server that asks nobody for a key."""
    settings = Settings()
    check_exposure(settings)
    return applications.pool(settings)


def control() -> Any:
    """The control plane, and with it the endpoint table that replicas follow."""
    settings = Settings()
    check_exposure(settings)
    Registry.of(settings).models.synchronise()
    return applications.control(ControlPlane, settings)
