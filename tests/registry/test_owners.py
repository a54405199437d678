"""What one project owns is to another as if it were not there."""

from pathlib import Path

import pytest

from regraft.domain import AdaptationSpec, Blob
from regraft.errors import ConflictError, UnknownNameError
from regraft.identity.caller import View
from regraft.registry.feedback import TrueLabel
from regraft.registry.store import Registry


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    return Registry(tmp_path, database)


def seen_by(registry: Registry, project: str) -> Registry:
    return registry.within(View(project, everywhere=False))


@pytest.fixture
def ours(registry: Registry) -> Registry:
    """With a model of two versions, an adaptation and an endpoint."""
    found = seen_by(registry, "ours")
    found.runs.submit(spec())
    for _ in range(2):
        registry.models.publish("tweets", Blob("a" * 64, 1), {}, True)
    return found


@pytest.fixture
def theirs(registry: Registry, ours: Registry) -> Registry:
    return seen_by(registry, "theirs")


def spec(name: str = "tweets") -> AdaptationSpec:
    return AdaptationSpec(name=name, source="a", data="dataset:d-0")


def test_a_project_sees_what_it_owns(ours: Registry) -> None:
    assert [version.version for version in ours.models.versions("tweets")] == [1, 2]
    assert ours.models.endpoint("tweets").version == 2
    assert [one.name for one in ours.models.endpoints()] == ["tweets"]
    assert len(ours.runs.all()) == 1
    assert ours.models.promote("tweets", 1).version == 1


def test_another_sees_none_of_it(theirs: Registry) -> None:
    assert theirs.models.versions() == []
    assert theirs.models.endpoints() == []
    assert theirs.runs.all() == []


def test_what_is_not_yours_is_unknown_whatever_you_ask(theirs: Registry, ours: Registry) -> None:
    (run,) = ours.runs.all()
    models, rollouts, feedback = theirs.models, theirs.rollouts, theirs.feedback
    for ask in (
        lambda: models.versions("tweets"),
        lambda: models.version("tweets", 1),
        lambda: models.endpoint("tweets"),
        lambda: models.promote("tweets", 1),
        lambda: models.roll_back("tweets"),
        lambda: rollouts.try_out("tweets", 1, "canary", 0.1),
        lambda: rollouts.history("tweets"),
        lambda: feedback.add("tweets", [TrueLabel("r", "a")]),
        lambda: feedback.live("tweets"),
        lambda: theirs.runs.get(run.id),
        lambda: theirs.runs.request_cancel(run.id),
    ):
        with pytest.raises(UnknownNameError) as caught:
            ask()
        assert "Known: none." in str(caught.value)
    assert ours.models.endpoint("tweets").version == 2
    assert not ours.runs.get(run.id).state.final


def test_a_name_belongs_to_who_took_it_first(theirs: Registry) -> None:
    with pytest.raises(ConflictError, match="The name 'tweets' is taken"):
        theirs.runs.submit(spec())
    assert theirs.runs.submit(spec("others"))[1]


def test_who_sees_everything_works_in_the_owners_project(
    registry: Registry, ours: Registry
) -> None:
    run, _ = registry.runs.submit(spec())
    assert ours.runs.get(run.id) == run


def test_two_projects_may_choose_the_same_idempotency_key(ours: Registry, theirs: Registry) -> None:
    first, new = ours.runs.submit(spec(), "key")
    assert new
    assert theirs.runs.submit(spec("others"), "key")[1]
    assert ours.runs.submit(spec(), "key") == (first, False)


async def _chunks() -> object:
    yield b"text,label\n"  # type: ignore[misc]


def test_an_upload_is_its_projects_alone(theirs: Registry, ours: Registry) -> None:
    import asyncio

    kept = asyncio.run(ours.uploads.receive("rows.csv", _chunks(), 100))  # type: ignore[arg-type]
    assert ours.uploads.path(kept.reference).is_file()
    with pytest.raises(UnknownNameError):
        theirs.uploads.path(kept.reference)


def test_the_endpoint_table_says_whose_each_is(ours: Registry, registry: Registry) -> None:
    from regraft.registry.endpoint_table import EndpointTable, revisions

    tables = registry.home.tables
    table = EndpointTable.read(tables, revisions(tables)[-1])
    assert [(route.name, route.project) for route in table.routes] == [("tweets", "ours")]
