"""Who asks."""

from collections.abc import Iterable
from dataclasses import dataclass

from regraft.errors import ForbiddenError
from regraft.identity.scopes import Scope

DEFAULT_PROJECT = "default"


@dataclass(frozen=True)
class View:
    """What of the registry is seen: what the project owns, or with `everywhere` all that there is.
    What is made belongs to the project."""

    project: str = DEFAULT_PROJECT
    everywhere: bool = True

    def sees(self, project: str) -> bool:
        return self.everywhere or project == self.project


EVERYTHING = View()


@dataclass(frozen=True)
class Caller:
    """`id` tells it in the audit log: an API key's, or a token's issuer and subject."""

    id: str
    project: str
    scopes: frozenset[Scope]

    @property
    def view(self) -> View:
        return View(self.project, Scope.ADMIN in self.scopes)

    def sees(self, project: str) -> bool:
        return self.view.sees(project)

    def allows(self, scope: Scope | None) -> bool:
        """Whether this may be done; None is what any known caller may."""
        return scope is None or scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope | None) -> None:
        """ForbiddenError unless the scope, or `admin`, is among the caller's."""
        if not self.allows(scope):
            raise ForbiddenError(
                f"This needs the scope '{scope}'; the key has {_listed(self.scopes)}."
            )


def _listed(scopes: Iterable[Scope]) -> str:
    return ", ".join(sorted(scopes)) or "none"


LOCAL = Caller("local", DEFAULT_PROJECT, frozenset({Scope.ADMIN}))
"""Anybody, where a server asks nobody for a key."""
