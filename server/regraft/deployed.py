"""The two applications of a server as Ray Serve builds them from a configuration file.

On Kubernetes that is the `serveConfigV2` of a RayService, whose import paths are
`regraft.deployed:pool` (at `/v2`) and `regraft.deployed:control` (at `/`). Settings come from the
environment of the nodes. Applications of dedicated endpoints are the control plane's.
"""

from typing import Any

from regraft.errors import InvalidInputError
from regraft.reconcile import applications
from regraft.reconcile.server import check_exposure
from regraft.settings import Settings


def pool(arguments: dict[str, Any]) -> Any:
    """The shared pool of replicas; InvalidInputError for a server that asks nobody for a key."""
    settings = _settings(arguments)
    return applications.pool(settings)


def control(arguments: dict[str, Any]) -> Any:
    """The control plane, and with it the endpoint table that replicas follow."""
    # What only serves has not all that these need.
    from regraft.api.control_plane import ControlPlane
    from regraft.registry.store import Registry

    settings = _settings(arguments)
    registry = Registry.of(settings)
    registry.models.synchronise()
    registry.home.stopping.unlink(missing_ok=True)  # a server that was here before left it
    return applications.control(ControlPlane, settings)


def _settings(arguments: dict[str, Any]) -> Settings:
    """Serve hands over the `args` of the configuration file, of which there are to be none."""
    if arguments:
        raise InvalidInputError(
            f"The application takes no `args`, but has {', '.join(arguments)}: settings come from "
            "the environment of its node."
        )
    settings = Settings()
    check_exposure(settings)
    return settings
