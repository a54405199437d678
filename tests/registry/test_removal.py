"""Endpoints that end and versions that are deleted, and what many hands do at once."""

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regraft.domain import Blob, Placement
from regraft.errors import ChangedError, ConflictError, UnknownNameError
from regraft.registry.endpoint_rows import etag
from regraft.registry.endpoint_table import EndpointTable, revisions
from regraft.registry.feedback import TrueLabel
from regraft.registry.store import Registry

CHANGES = int(os.environ.get("REGRAFT_TEST_CHANGES", "6"))
"""Of each of 32; 64 are all."""


def publish(registry: Registry, letter: str = "a", promote: bool = True) -> int:
    return registry.models.publish("m", Blob(letter * 64, 1), {}, promote).version


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    """Versions 1 to 3 of `m`, of which the third answers."""
    made = Registry(tmp_path, database)
    for letter in "abc":
        publish(made, letter)
    return made


def routes(registry: Registry) -> dict[str, int]:
    folder = registry.home.tables
    table = EndpointTable.read(folder, revisions(folder)[-1])
    return {route.name: route.version for route in table.routes}


def test_an_endpoint_that_ended_is_gone_and_its_versions_stay(registry: Registry) -> None:
    registry.rollouts.place("m", Placement(placement="dedicated"))
    registry.rollouts.try_out("m", 1, "shadow", 1.0)
    registry.feedback.add("m", [TrueLabel("r-1", "a")])
    registry.removal.end("m")
    assert routes(registry) == {}
    assert registry.models.endpoints() == []
    with pytest.raises(UnknownNameError):
        registry.removal.end("m")
    assert len(registry.models.versions("m")) == 3

    back = registry.models.promote("m", 2)
    assert (back.version, back.previous, back.trial) == (2, None, None)
    assert not back.placement.dedicated
    assert routes(registry) == {"m": 2}
    assert [change.action for change in registry.rollouts.history("m")][:2] == ["promote", "end"]


def test_a_version_that_was_deleted_is_no_way_back_and_its_number_is_taken(
    registry: Registry,
) -> None:
    registry.removal.delete("m", 2)
    assert registry.models.endpoint("m").previous is None
    with pytest.raises(UnknownNameError):
        registry.removal.delete("m", 2)
    with pytest.raises(ConflictError, match="no earlier version"):
        registry.models.roll_back("m")
    registry.removal.end("m")
    registry.removal.delete("m", 3)
    assert publish(registry) == 4
    assert [version.version for version in registry.models.versions("m")] == [1, 4]


def test_an_unknown_model_is_told_with_those_that_there_are(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown model 'n'\..* Known: m\."):
        registry.removal.delete("n", 1)


def test_what_answers_or_is_tried_is_not_deleted(registry: Registry) -> None:
    registry.rollouts.try_out("m", 1, "canary", 0.5)
    with pytest.raises(ConflictError, match="answers"):
        registry.removal.delete("m", 3)
    with pytest.raises(ConflictError, match="is tried"):
        registry.removal.delete("m", 1)
    assert len(registry.models.versions("m")) == 3


def test_a_change_that_was_meant_for_another_state_changes_nothing(registry: Registry) -> None:
    seen = etag(registry.models.endpoint("m"))
    registry.models.promote("m", 1, match=f'"else", {seen}')
    for change in (
        lambda: registry.models.promote("m", 2, match=seen),
        lambda: registry.models.roll_back("m", match=seen),
        lambda: registry.rollouts.try_out("m", 2, "shadow", 1.0, match=seen),
        lambda: registry.rollouts.place("m", Placement(), seen),
        lambda: registry.removal.end("m", seen),
    ):
        with pytest.raises(ChangedError, match="has changed"):
            change()
    assert registry.models.endpoint("m").version == 1
    assert registry.models.promote("m", 2, match="*").version == 2


def test_replicas_that_come_up_change_no_tag(registry: Registry) -> None:
    seen = etag(registry.rollouts.place("m", Placement(placement="dedicated")))
    registry.rollouts.settle("m", placed=True)
    assert registry.models.promote("m", 1, match=seen).version == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_of_32_who_promote_and_roll_back_at_once_each_succeeds_or_is_told_why(
    registry: Registry,
) -> None:
    """What replicas read at the end is what is stored."""

    def change(seed: int) -> Counter[str]:
        chance, ended = random.Random(seed), Counter[str]()
        for _ in range(CHANGES):
            seen = etag(registry.models.endpoint("m"))
            try:
                if chance.random() < 0.5:
                    registry.models.promote("m", chance.randint(1, 3), match=seen)
                else:
                    registry.models.roll_back("m")
                ended["changed"] += 1
            except ChangedError:
                ended["412"] += 1
            except ConflictError:
                ended["409"] += 1
        return ended

    with ThreadPoolExecutor(32) as pool:
        total = sum(pool.map(change, range(32)), Counter[str]())
    print(dict(total))
    assert min(total["changed"], total["412"]) > 0
    assert total.total() == 32 * CHANGES
    assert routes(registry) == {"m": registry.models.endpoint("m").version}
