"""What lets processes into a Ray of ours: a token that is code execution on all of it."""

import os
from collections.abc import Mapping

from regraft.identity.pepper import token_file
from regraft.registry.home import Home
from regraft.settings import Settings

TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def let_in(settings: Settings) -> None:
    """Have this process, and what it starts, let into the Ray that it starts or joins. Whoever
    joins one calls it before Ray is imported, which reads then whether to show a token; for one
    that is started Ray turns that on itself, and only where nobody has said so."""
    found = entry(settings, os.environ)
    os.environ.update(found if settings.address else {k: found[k] for k in found if k == TOKEN})


def entry(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to `given`. Left to itself Ray would make a token that every user of the
    machine can read: ours is in the home, which all nodes of a cluster of `regraft node` share.
    A cluster that others started may have none, or says itself where it is."""
    known = Home(settings.resolved_home).ray_token
    if TOKEN in given or TOKEN_PATH in given or (settings.address and not known.exists()):
        return {}
    return {TOKEN: token_file(known).read_text(), "RAY_AUTH_MODE": "token"}
