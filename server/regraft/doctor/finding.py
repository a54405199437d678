"""What a check finds."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from regraft.domain import JSON
from regraft.registry.store import Registry
from regraft.settings import Settings


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what would mend it."""

    problem: str
    mend: str

    def as_dict(self) -> JSON:
        return asdict(self)


@dataclass(frozen=True)
class Patient:
    """What is looked at; a check may open the registry, and says so if it cannot."""

    settings: Settings

    def registry(self) -> Registry:
        return Registry.of(self.settings)


Check = Callable[[Patient], Iterable[Finding]]
