"""A source model of unknown origin, opened in a process of its own: a graph may end the process
that loads it, fill its memory, or take for ever.

`python -m regraft.adaptations.apart` is that process. It reads what is wanted as JSON, and writes
what came of it, or the refusal.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TextIO

import psutil

from regraft.adaptations.queries import show_source
from regraft.adaptations.request import check_request, parse_spec
from regraft.domain import JSON, AdaptationSpec
from regraft.errors import InvalidInputError, RefusedError, RegraftError
from regraft.plugins import Plugins
from regraft.threads import ADAPTING

SECONDS = 120.0
"""It may take, a configuration from the hub included."""
SHARE = 0.5
"""Of the memory that is free, which it may take."""


def check_apart(spec: AdaptationSpec) -> None:
    """What `check_request` says of a request; RefusedError where it raises, InvalidInputError where
    its process came to no end."""
    _ask({"check": spec.model_dump(mode="json")}, spec.source)


def show_apart(reference: str) -> JSON:
    """What `show_source` says of a source model, with the same errors."""
    found: JSON = _ask({"show": reference}, reference)
    return found


def _ask(wanted: JSON, reference: str) -> Any:
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(
            command, input=json.dumps(wanted), stdout=subprocess.PIPE, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise InvalidInputError(
            f"'{reference[:60]}' could not be opened within {SECONDS:.0f} seconds."
        ) from None
    if done.returncode != 0:
        raise InvalidInputError(
            f"'{reference[:60]}' cannot be used: opening it ended the process (exit status "
            f"{done.returncode}), as a damaged or hostile file does."
        )
    answer = json.loads(done.stdout)
    if "refused" in answer:
        raise RefusedError(answer["refused"], answer["status"])
    return answer["found"]


def _check(values: Any, plugins: Plugins) -> None:
    check_request(parse_spec(values), plugins)


WAYS: dict[str, Callable[[Any, Plugins], Any]] = {"check": _check, "show": show_source}


def main() -> None:
    out = _own_output()
    os.nice(ADAPTING)
    free = int(SHARE * psutil.virtual_memory().available)
    resource.setrlimit(resource.RLIMIT_DATA, (free, free))
    ((way, given),) = json.load(sys.stdin).items()
    try:
        answer: JSON = {"found": WAYS[way](given, Plugins.load())}
    except RegraftError as error:
        answer = {"refused": str(error), "status": error.status}
    json.dump(answer, out)
    out.flush()
    # Whatever a model left running ends with it.
    os._exit(0)


def _own_output() -> TextIO:
    """Standard output for us alone: what libraries print goes to the log."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


if __name__ == "__main__":
    main()
