"""Which version answers a request, and which is asked a copy of it."""

from dataclasses import dataclass
from hashlib import blake2b

from regraft.errors import UnknownNameError
from regraft.registry.endpoint_table import Tried
from regraft.serving.predictor import Predictor

CANARY, SHADOW = "canary", "shadow"


@dataclass(frozen=True)
class Served:
    """What is loaded under a name: the version that answers, and perhaps one that is tried."""

    stable: Predictor
    candidate: Predictor | None = None
    tried: Tried | None = None

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        return (self.stable,) if self.candidate is None else (self.stable, self.candidate)

    @property
    def versions(self) -> list[str]:
        return [str(predictor.version) for predictor in self.predictors]

    def named(self, version: str | None) -> Predictor:
        """The version that a request names, or the one that answers those that name none."""
        if version is None:
            return self.stable
        for predictor in self.predictors:
            if str(predictor.version) == version:
                return predictor
        raise UnknownNameError("version", version[:20], self.versions, self.stable.name)

    def choose(self, request: str, version: str | None) -> Predictor:
        """The version for the request of this id: for the same id always the same, on every
        replica; who is on a canary stays there when its share grows."""
        if version is None and self.candidate is not None and self._drawn(CANARY, request):
            return self.candidate
        return self.named(version)

    def shadow(self, request: str) -> Predictor | None:
        """The version that is to be asked a copy of this request."""
        return self.candidate if self._drawn(SHADOW, request) else None

    def _drawn(self, mode: str, request: str) -> bool:
        tried = self.tried
        return (
            tried is not None
            and tried.mode == mode
            and draw(self.stable.name, request) < tried.share
        )


def draw(name: str, request: str) -> float:
    """A number in [0, 1) that depends on endpoint and request alone, and is uniform over both."""
    digest = blake2b(f"{name} {request}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
