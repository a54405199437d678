"""Whatever fails while a version is published: it is there whole, or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from regraft.adaptations.run import run
from regraft.domain import State
from regraft.errors import RunFailedError
from regraft.registry.blobs import BlobStore
from regraft.registry.endpoint_table import EndpointTable, revisions
from regraft.registry.manifest import Manifest
from regraft.registry.models import ModelRegistry
from regraft.registry.store import Registry


class Crash(BaseException):
    """The process ends here, as far as the code can tell."""


def failing(real: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The real thing, which fails at its call of this number, from 1."""
    calls = iter(range(1, 1000))

    def call(*given: Any, **named: Any) -> Any:
        if next(calls) == at:
            raise Crash
        return real(*given, **named)

    return call


def served(registry: Registry) -> dict[str, int]:
    folder = registry.home.tables
    table = EndpointTable.read(folder, revisions(folder)[-1])
    return {route.name: route.version for route in table.routes}


def check_whole(registry: Registry) -> None:
    """Every version that there is can be served."""
    for version in registry.models.versions():
        for blob in Manifest.load(version.manifest.sha256, registry.blobs).blobs():
            registry.blobs.verified(blob.sha256)


@pytest.mark.parametrize("at", range(1, 6))
def test_a_crash_at_any_blob_leaves_the_old_version(
    submit: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    run(submit())
    context = submit(seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "put", failing(BlobStore.put, at))
        try:
            run(context)
        except RunFailedError:
            ended = State.FAILED
        else:
            ended = State.SUCCEEDED  # so many blobs it has not
    assert registry.runs.get(context.adaptation.id).state == ended
    assert len(registry.models.versions()) == 1 + (ended == State.SUCCEEDED)
    check_whole(registry)
    assert served(registry) == {"reviews": len(registry.models.versions())}


def test_a_crash_before_the_row_leaves_the_old_version(
    submit: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(submit())
    with monkeypatch.context() as patch:
        patch.setattr(ModelRegistry, "publish", failing(ModelRegistry.publish, 1))
        with pytest.raises(RunFailedError):
            run(submit(seed=1))
    assert served(registry) == {"reviews": 1}
    assert len(registry.models.versions()) == 1


def test_a_crash_before_the_table_is_made_good_by_the_next_server(
    submit: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is there, and nothing else was missing."""
    run(submit())
    with monkeypatch.context() as patch:
        patch.setattr(EndpointTable, "write", failing(EndpointTable.write, 1))
        with pytest.raises(RunFailedError):
            run(submit(seed=1))
    assert served(registry) == {"reviews": 1}
    check_whole(registry)
    registry.models.synchronise()
    assert served(registry) == {"reviews": 2}
