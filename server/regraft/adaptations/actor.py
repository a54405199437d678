"""An adaptation in a process of its own, so that the control plane outlives whatever it does."""

import contextlib
import logging
import os
import threading
import time
from typing import Any

import ray

from regraft.adaptations.context import Context
from regraft.adaptations.run import run
from regraft.domain import Adaptation
from regraft.errors import RegraftError
from regraft.logs import log_lines
from regraft.plugins import Plugins
from regraft.registry.patience import patiently
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft.threads import ADAPTING
from regraft.training.cluster import TRAIN, role
from regraft.training.groups import release_groups

NAMESPACE = "regraft"
GRACE = 8.0
"""Seconds after which what a process started has ended too: Ray kills it five after its owner.
Until then Ray Train's controller would reserve anew what is given back, and nobody would know."""


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
        "resources": role(TRAIN, settings),
        "name": _name(identifier),
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
    }
    _follow(ray.remote(Runner).options(**options).remote(settings), identifier, registry)


def adopt(identifier: str, registry: Registry) -> bool:
    """Whether the process of a run that another server started lives; it is followed from now on,
    as if it had been started here."""
    try:
        actor = ray.get_actor(_name(identifier), NAMESPACE)
    except ValueError:
        release_groups(registry.home.run(identifier))
        return False
    _follow(actor, identifier, registry)
    return True


def _name(identifier: str) -> str:
    return f"adaptation-{identifier}"


def _follow(actor: Any, identifier: str, registry: Registry) -> None:
    """Of a run that is at work this second call waits for the first, and ends with its process."""
    run, ended = registry.runs.get(identifier), actor.run.remote(identifier)
    watcher = threading.Thread(target=_watch, args=(ended, run, registry), daemon=True)
    watcher.start()


def _watch(ended: Any, run: Adaptation, registry: Registry) -> None:
    """Take up what a process left that could not end its run, such as one out of memory or on a
    machine that is gone. One that came to its end has told so."""
    why = ""
    try:
        ray.get(ended)
    except ray.exceptions.RayError as error:
        why = f" ({type(error).__name__})"
    time.sleep(GRACE)
    release_groups(registry.home.run(run.id))
    what = f"The process of the adaptation ended early{why}"
    patiently(lambda: registry.runs.interrupt(run, what))
