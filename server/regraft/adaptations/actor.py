"""An adaptation in a process of its own, so that the control plane outlives whatever it does."""

import contextlib
import logging
import os
import threading
from typing import Any

import ray

from regraft.adaptations.context import Context
from regraft.adaptations.run import run
from regraft.errors import RegraftError
from regraft.logs import log_lines
from regraft.plugins import Plugins
from regraft.registry.patience import patiently
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft.threads import ADAPTING

NAMESPACE = "regraft"


class Runner:
    """Runs one adaptation. Plain Python; made a Ray actor by `launch`."""

    def __init__(self, settings: Settings) -> None:
        os.nice(ADAPTING)
        log_lines()
        self.settings = settings

    def run(self, identifier: str) -> None:
        """To the end, which is recorded; then the process goes."""
        registry = Registry.of(self.settings)
        adaptation = registry.runs.get(identifier)
        context = Context(adaptation, registry, Plugins.load(), self.settings)
        try:
            with contextlib.suppress(RegraftError):
                run(context)
        except Exception:
            logging.getLogger("regraft").exception("adaptation %s failed", identifier)
        ray.actor.exit_actor()


def launch(identifier: str, settings: Settings, registry: Registry) -> None:
    """Start the run on the connected cluster, unless it was; it reserves no CPU, its workers do."""
    options = {
        "num_cpus": 0,
        "name": f"adaptation-{identifier}",
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
    }
    actor = ray.remote(Runner).options(**options).remote(settings)
    ended = actor.run.remote(identifier)
    watcher = threading.Thread(target=_watch, args=(ended, identifier, registry), daemon=True)
    watcher.start()


def _watch(ended: Any, identifier: str, registry: Registry) -> None:
    """Record the failure of a process that could not do so itself, such as one out of memory."""
    why = ""
    try:
        ray.get(ended)
    except ray.exceptions.RayError as error:
        why = f" ({type(error).__name__})"
    # One that came to its end has told so, unless the database was away: then nothing is known.
    reason = f"The process of the adaptation ended early{why}."
    patiently(lambda: registry.runs.fail(identifier, reason))
