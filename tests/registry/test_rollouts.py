"""What an endpoint is besides its version: trials, placement and history."""

from dataclasses import replace
from pathlib import Path

import pytest

from regraft.domain import Blob, Placement
from regraft.errors import ConflictError, InvalidInputError, UnknownNameError
from regraft.registry.endpoint_table import Before, EndpointTable, Route, Tried, revisions
from regraft.registry.store import Registry


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    """Versions 1 to 3 of `m`, of which the second answers and the third is worse."""
    made = Registry(tmp_path, database)
    for letter, summary in zip("abc", ({}, {}, {"verdict": "negative"}), strict=True):
        made.models.publish("m", Blob(letter * 64, 1), summary, promote=letter != "c")
    return made


def route(registry: Registry) -> Route:
    folder = registry.home.tables
    return EndpointTable.read(folder, revisions(folder)[-1]).routes[0]


def test_a_trial_is_in_the_table_until_it_is_rolled_back(registry: Registry) -> None:
    tried = registry.rollouts.try_out("m", 1, "canary", 0.25)
    assert tried.trial is not None
    assert tried.as_dict()["trial"]["share"] == 0.25
    plain = Route("m", 2, "b" * 64, before=Before(1, "a" * 64))
    assert route(registry) == replace(plain, tried=Tried(1, "a" * 64, "canary", 0.25))
    back = registry.models.roll_back("m")
    assert (back.version, back.trial) == (2, None)
    assert route(registry) == plain


def test_a_rollback_that_is_repeated_does_not_go_further(registry: Registry) -> None:
    registry.rollouts.try_out("m", 1, "shadow", 1.0)
    for _ in range(2):
        assert registry.models.roll_back("m", expected=1).version == 2


def test_a_promotion_ends_the_trial(registry: Registry) -> None:
    registry.rollouts.try_out("m", 1, "canary", 0.5)
    promoted = registry.models.promote("m", 1)
    assert (promoted.version, promoted.previous, promoted.trial) == (1, 2, None)


def test_what_cannot_be_tried_is_refused(registry: Registry) -> None:
    with pytest.raises(ConflictError, match="answers already"):
        registry.rollouts.try_out("m", 2, "canary", 0.1)
    with pytest.raises(ConflictError, match="negative"):
        registry.rollouts.try_out("m", 3, "canary", 0.1)
    with pytest.raises(UnknownNameError, match="Known: 1, 2, 3"):
        registry.rollouts.try_out("m", 4, "canary", 0.1)
    with pytest.raises(UnknownNameError):
        registry.rollouts.try_out("n", 1, "canary", 0.1)
    with pytest.raises(InvalidInputError, match="share"):
        registry.rollouts.try_out("m", 1, "canary", 0.0)
    assert registry.rollouts.try_out("m", 3, "canary", 0.1, force=True).trial is not None


def test_an_endpoint_is_dedicated_in_the_table_once_it_is_placed(registry: Registry) -> None:
    wanted = Placement(placement="dedicated", max_replicas=3)
    before = registry.rollouts.place("m", wanted)
    assert (before.placement, before.placed) == (wanted, False)
    assert not route(registry).dedicated
    registry.rollouts.settle("m", placed=False, waiting="no CPU is free")
    assert registry.models.endpoint("m").waiting == "no CPU is free"
    registry.rollouts.settle("m", placed=True)
    after = registry.models.endpoint("m")
    assert (after.placement, after.placed, after.waiting) == (wanted, True, None)
    assert route(registry).dedicated


def test_history_tells_each_change_and_why(registry: Registry) -> None:
    registry.rollouts.try_out("m", 1, "canary", 0.1)
    registry.models.roll_back("m", 1, "9 of its 20 requests broke.")
    registry.rollouts.place("m", Placement(placement="dedicated"))
    for _ in range(2):
        registry.rollouts.settle("m", placed=True)
    seen = [(one.action, one.version, one.reason) for one in registry.rollouts.history("m")]
    assert seen == [
        ("placed", 2, "It answers from its own replicas."),
        ("place", 2, None),
        ("rollback", 2, "9 of its 20 requests broke."),
        ("canary", 1, None),
        ("publish", 2, None),
        ("publish", 1, None),
    ]
