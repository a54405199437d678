"""A Ray node that a server can use: Ray's own command, in the environment that serving needs.

Ray reads most of it when its processes start, so that a server which joins a cluster later can no
longer say it.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from regraft.reconcile.environment import Instance, entry_environment, serve_environment
from regraft.reconcile.ports import require_free_port, require_head
from regraft.registry.ray_token import entry
from regraft.serving.sessions import available_cpus
from regraft.settings import Settings
from regraft.training.cluster import ENVIRONMENT, PLENTY

PORT = 6379
"""Of the head, as Ray has it."""
HEALTH = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
}
"""A node that is gone is noticed within 5 seconds, not 17."""


@dataclass(frozen=True)
class Node:
    """One node: the head of a cluster, or one that joins the head at `address`, HOST:PORT."""

    settings: Settings
    address: str | None = None
    port: int = PORT
    cpus: int | None = None
    roles: tuple[str, ...] = ()
    """What it is for: of `serve`, `control` and `train`."""

    def command(self) -> list[str]:
        """Ray's, which stays in the foreground."""
        settings = self.settings
        ours = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        if self.address is None:
            ours += ["--head", f"--port={self.port}", "--include-dashboard=false"]
            ours += [f"--temp-dir={settings.ray_temp_dir}"]
        else:
            ours += [f"--address={self.address}"]
        cpus = available_cpus() if self.cpus is None else self.cpus
        return [
            *ours,
            f"--num-cpus={cpus}",
            f"--node-ip-address={settings.host}",
            f"--resources={json.dumps(dict.fromkeys(self.roles, PLENTY))}",
            "--disable-usage-stats",
        ]

    def environment(self, given: Mapping[str, str] = os.environ) -> dict[str, str]:
        """All variables for the command."""
        settings = self.settings
        instance = Instance(settings.resolved_home, settings.ray_temp_dir, settings.max_body)
        ours = {**serve_environment(instance, given), **entry(settings, given)}
        ours |= entry_environment(settings)
        return {**HEALTH, **ENVIRONMENT, **_interface(settings.host), **given, **ours}


def _interface(host: str) -> dict[str, str]:
    """By which workers of one training reach each other: they would look up the machine's name,
    which on Debian is one of its own loopback addresses."""
    for name, addresses in psutil.net_if_addrs().items():
        if host in [one.address for one in addresses]:
            return {"GLOO_SOCKET_IFNAME": name}
    return {}


def become(node: Node) -> None:
    """Turn this process into the node; InvalidInputError for a host or a head that there is not."""
    require_free_port(node.settings.host, 0 if node.address else node.port)
    if node.address is not None:
        require_head(node.address)
    command = node.command()
    os.execve(command[0], command, node.environment())
