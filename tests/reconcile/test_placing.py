"""Endpoints get replicas of their own step by step, and nobody waits for them."""

from pathlib import Path

import pytest

from regraft.domain import Blob, Placement
from regraft.reconcile.placing import HIDDEN, ROUTED_SECONDS, TURN_SECONDS, Placer, Standing
from regraft.registry.store import Registry

OWN = Placement(placement="dedicated")


class MadeUp:
    """Applications that start when they are told to, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.apps: dict[str, Standing] = {}
        self.prefixes: dict[str, str] = {}
        self.smallest: dict[str, int] = {}
        self.refused: set[str] = set()
        self.done: list[tuple[str, ...]] = []

    def standing(self) -> dict[str, Standing]:
        return dict(self.apps)

    def deploy(self, name: str, placement: Placement, prefix: str) -> None:
        others = [at for other, at in self.prefixes.items() if other != name]
        if name in self.refused or prefix in others:
            raise ValueError(f"{name} at {prefix} is impossible")
        self.prefixes[name] = prefix
        self.smallest[name] = placement.min_replicas
        self.apps.setdefault(name, Standing(False, "no CPU is free"))
        self.done.append(("deploy", name, prefix, str(placement.max_replicas)))

    def delete(self, name: str) -> None:
        del self.apps[name]
        self.prefixes.pop(name, None)
        self.done.append(("delete", name))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = Registry(tmp_path)
    made.models.publish("m", Blob("a" * 64, 1), {}, promote=True)
    return made


@pytest.fixture
def made_up() -> MadeUp:
    return MadeUp()


@pytest.fixture
def placer(registry: Registry, made_up: MadeUp) -> Placer:
    return Placer(registry, made_up, lambda: made_up.now)


def placed(placer: Placer, made_up: MadeUp) -> None:
    """Until the endpoint's own replicas answer."""
    placer.registry.rollouts.place("m", OWN)
    placer.step()
    made_up.apps["m"] = Standing(True)
    placer.step()
    made_up.now += ROUTED_SECONDS + 1
    placer.step()
    assert placer.registry.models.endpoint("m").placed


def leaves_with_none(placer: Placer, made_up: MadeUp) -> None:
    """An endpoint that may have scaled to none is to go back to the pool."""
    placed(placer, made_up)
    for wanted in (OWN.model_copy(update={"min_replicas": 0}), Placement()):
        placer.registry.rollouts.place("m", wanted)
        placer.step()


def test_replicas_come_up_in_hiding_and_then_take_the_traffic(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    registry.rollouts.place("m", OWN)
    for _ in range(2):
        placer.step()
    assert made_up.done == [("deploy", "m", "/v2/model", "1")]
    assert registry.models.endpoint("m").waiting == "no CPU is free"
    made_up.apps["m"] = Standing(True)
    for _ in range(2):
        placer.step()
    assert made_up.done[1:] == [("deploy", "m", "/v2/models/m", "1")]
    assert not registry.models.endpoint("m").placed, "not every entry knows of them yet"
    made_up.now += ROUTED_SECONDS + 1
    placer.step()
    assert registry.models.endpoint("m").placed


def test_another_placement_changes_the_application_where_it_is(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    placed(placer, made_up)
    registry.rollouts.place("m", OWN.model_copy(update={"max_replicas": 3}))
    for _ in range(2):
        placer.step()
    assert made_up.done[2:] == [("deploy", "m", "/v2/models/m", "3")]
    assert registry.models.endpoint("m").placed


def test_the_pool_answers_again_before_the_replicas_go(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    placed(placer, made_up)
    registry.rollouts.place("m", Placement())
    placer.step()
    assert not registry.models.endpoint("m").placed
    assert "m" in made_up.apps
    made_up.now += ROUTED_SECONDS + 1
    for _ in range(2):
        placer.step()
    assert made_up.done[-1] == ("delete", "m")
    assert not made_up.apps


def test_who_waits_for_a_replica_gets_one_before_the_application_goes(
    placer: Placer, made_up: MadeUp
) -> None:
    """Ray never answers those that wait for a replica of what is deleted: some do after none."""
    leaves_with_none(placer, made_up)
    assert made_up.smallest["m"] == 1
    made_up.apps["m"] = Standing(False, "its replica starts")
    for _ in range(3):
        made_up.now += ROUTED_SECONDS + 1
        placer.step()
    assert "m" in made_up.apps, "some may wait"
    made_up.apps["m"] = Standing(True)
    placer.step()
    assert "m" in made_up.apps, "who waited is not yet answered"
    made_up.now += ROUTED_SECONDS + 1
    placer.step()
    assert made_up.done[-1] == ("delete", "m")


def test_who_starts_anew_lets_what_has_no_replica_yet_get_it(
    made_up: MadeUp, registry: Registry
) -> None:
    made_up.apps["m"] = Standing(False, "its replica starts")
    placer = Placer(registry, made_up, lambda: made_up.now)
    for _ in range(3):
        made_up.now += ROUTED_SECONDS + 1
        placer.step()
    assert "m" in made_up.apps
    made_up.now = TURN_SECONDS + 1
    placer.step()
    assert not made_up.apps


def test_what_cannot_be_taken_away_keeps_no_other_waiting(
    placer: Placer, made_up: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.apps |= {"broken": Standing(True), "gone": Standing(True)}
    delete = made_up.delete

    def fails(name: str) -> None:
        if name == "broken":
            raise RuntimeError("the controller does not answer")
        delete(name)

    monkeypatch.setattr(made_up, "delete", fails)
    for _ in range(2):
        placer.step()
        made_up.now += ROUTED_SECONDS + 1
    assert made_up.apps.keys() == {"broken"}


def test_an_application_that_gets_no_replica_goes_in_the_end(
    placer: Placer, made_up: MadeUp
) -> None:
    leaves_with_none(placer, made_up)
    made_up.apps["m"] = Standing(False, "no CPU is free")
    made_up.now += TURN_SECONDS + 1
    placer.step()
    assert not made_up.apps


def test_who_starts_anew_opens_what_was_open_and_hides_what_is_new(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    placed(placer, made_up)
    for survived, prefix in ((True, "/v2/models/m"), (False, "/v2/model")):
        after = MadeUp()
        after.apps = {"m": Standing(True)} if survived else {}
        Placer(registry, after, lambda: 0.0).step()
        assert after.done == [("deploy", "m", prefix, "1")]


def wanting(registry: Registry, *names: str) -> None:
    """Endpoints that want replicas of their own."""
    for name in names:
        registry.models.publish(name, Blob("a" * 64, 1), {}, promote=True)
        registry.rollouts.place(name, OWN)


def test_what_cannot_be_placed_keeps_no_other_waiting(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    wanting(registry, "a", "z")
    made_up.apps["gone"] = Standing(True)
    made_up.refused.add("a")
    placer.step()
    assert registry.models.endpoint("a").waiting == (
        "it cannot be placed: a at /v2/model is impossible"
    )
    assert made_up.done == [("deploy", "z", "/v2/model", "1")]
    made_up.now += ROUTED_SECONDS + 1
    placer.step()
    assert made_up.done[-1] == ("delete", "gone")
    made_up.refused.clear()
    placer.step()
    assert made_up.done[-1] == ("deploy", "a", "/v2/mode", "1")


def test_who_starts_anew_finds_again_who_hides_where(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    wanting(registry, "b")
    placer.step()
    wanting(registry, "a")
    placer.step()
    assert made_up.prefixes == {"b": "/v2/model", "a": "/v2/mode"}
    again = Placer(registry, made_up, lambda: made_up.now)
    for _ in range(2):
        again.step()
    assert made_up.prefixes == {"b": "/v2/model", "a": "/v2/mode"}
    assert set(again.known) == {"a", "b"}


def test_those_that_wait_for_long_let_others_have_a_turn(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    names = [f"m{number}" for number in range(len(HIDDEN))]
    wanting(registry, *names, "z")
    placer.step()
    made_up.now += TURN_SECONDS + 1
    placer.step()
    assert made_up.done[-1] == ("delete", "m0")
    placer.step()
    assert ("deploy", "z", HIDDEN[0], "1") in made_up.done
    assert registry.models.endpoint("m0").waiting == "others are placed before it"
    made_up.apps["z"] = Standing(True)
    for _ in range(2):
        placer.step()
    assert ("deploy", "z", "/v2/models/z", "1") in made_up.done


def test_endpoints_come_up_beside_each_other_as_far_as_there_are_prefixes(
    placer: Placer, made_up: MadeUp, registry: Registry
) -> None:
    names = [f"m{number}" for number in range(len(HIDDEN) + 1)]
    for name in names:
        registry.models.publish(name, Blob("a" * 64, 1), {}, promote=True)
        registry.rollouts.place(name, OWN)
    placer.step()
    assert [one[2] for one in made_up.done] == list(HIDDEN)
    assert all("/v2/models/m0".startswith(prefix) for prefix in HIDDEN)
    assert registry.models.endpoint(names[-1]).waiting == "others are placed before it"
    made_up.apps["m0"] = Standing(True)
    for _ in range(2):
        placer.step()
    assert made_up.done[-1][:3] == ("deploy", names[-1], HIDDEN[0])


def test_an_application_of_no_endpoint_goes(placer: Placer, made_up: MadeUp) -> None:
    made_up.apps["gone"] = Standing(True)
    placer.step()
    made_up.now += ROUTED_SECONDS + 1
    placer.step()
    assert made_up.done == [("delete", "gone")]
