"""Endpoints with replicas of their own: what the registry wants of them becomes applications.

An application comes up under a hidden prefix, and takes its endpoint's traffic once its replicas
have loaded: a new one at its final prefix would let requests wait for that. Until then, and again
after it has gone, the shared pool answers.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from regraft.domain import Endpoint, Placement
from regraft.registry.store import Registry

log = logging.getLogger("regraft.reconcile")

OPEN = "/v2/models/{}"
HIDDEN = ("/v2/model", "/v2/mode", "/v2/mod", "/v2/mo", "/v2/m")
"""Nobody asks below these, and yet they begin every path of an endpoint. A replica refuses paths
that do not begin with its prefix, of whose change it may learn later than HAProxy does."""
ROUTED_SECONDS = 3.0
"""How long it takes until every entry routes to an application that runs, and until every replica
of the pool has loaded an endpoint that it is to answer again."""
TURN_SECONDS = 120.0
"""For how long an application may keep a hidden prefix that others want, and not run; and for how
long one that is to go is kept, for whoever waits for its replica."""


@dataclass(frozen=True)
class Standing:
    """How an application stands, and what is the matter with it."""

    running: bool
    message: str = ""


class Applications(Protocol):
    """Ray Serve's applications of dedicated endpoints, by the endpoint's name."""

    def standing(self) -> Mapping[str, Standing]: ...
    def deploy(self, name: str, placement: Placement, prefix: str) -> None: ...
    def delete(self, name: str) -> None: ...


@dataclass
class Deployed:
    """What was last deployed for an endpoint, and when."""

    placement: Placement
    prefix: str
    since: float


@dataclass
class Placer:
    """Brings the applications a step nearer to what the registry wants, each time it is asked."""

    registry: Registry
    applications: Applications
    clock: Callable[[], float] = time.monotonic
    known: dict[str, Deployed] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    turns: dict[str, float] = field(default_factory=dict)
    """When an application last made room for others, of those that did."""
    begun: float = field(init=False)
    settled: bool = False
    """Whether there is no such application, nor an endpoint that wants one."""

    def __post_init__(self) -> None:
        self.begun = self.clock()

    def step(self) -> None:
        endpoints = {one.name: one for one in self.registry.models.endpoints()}
        concerned = any(one.placement.dedicated or one.placed for one in endpoints.values())
        if self.settled and not concerned:
            return
        standing = self.applications.standing()
        for one in sorted(endpoints.values(), key=lambda one: self.turns.get(one.name, 0.0)):
            if one.placement.dedicated:
                self.left.pop(one.name, None)
                self._bring_alone(one, standing)
            elif one.placed:
                self.registry.rollouts.settle(one.name, placed=False)
        for name in standing:
            if name not in endpoints or not endpoints[name].placement.dedicated:
                self._take_away_alone(name, standing[name])
        self.settled = not standing and not concerned

    def _bring_alone(self, one: Endpoint, standing: Mapping[str, Standing]) -> None:
        """What is the matter with one endpoint keeps no other waiting."""
        try:
            self._bring(one, standing)
        except Exception as error:  # noqa: BLE001 - Ray may refuse for whatever reason
            why = f"it cannot be placed: {error}"
            if why != one.waiting:
                log.error("'%s': %s: %s", one.name, type(error).__name__, why)
            self.registry.rollouts.settle(one.name, one.placed, why)

    def _bring(self, one: Endpoint, applications: Mapping[str, Standing]) -> None:
        """Deploy, then open to traffic, then tell."""
        standing = applications.get(one.name)
        known = self.known.get(one.name) if standing else None
        # After a restart of ours it is not known how it was deployed: the same again changes none.
        opened = OPEN.format(one.name)
        prefix = known.prefix if known else (opened if one.placed and standing else self._free())
        if prefix is None:
            self._make_room(applications)
            self.registry.rollouts.settle(one.name, one.placed, "others are placed before it")
        elif known is None or known.placement != one.placement:
            self._deploy(one, prefix)
        elif standing is None or not standing.running:
            why = (standing.message if standing else "") or "its replicas start"
            self.registry.rollouts.settle(one.name, one.placed, why)
        elif known.prefix != opened:
            self._deploy(one, opened)
        elif self.clock() - known.since > ROUTED_SECONDS:
            self.turns.pop(one.name, None)
            self.registry.rollouts.settle(one.name, placed=True)

    def _free(self) -> str | None:
        """A hidden prefix that no other application has."""
        taken = {deployed.prefix for deployed in self.known.values()}
        return next((prefix for prefix in HIDDEN if prefix not in taken), None)

    def _make_room(self, applications: Mapping[str, Standing]) -> None:
        """Whoever has waited longest in hiding without a replica comes after the others."""
        waiting = {
            name: deployed.since
            for name, deployed in self.known.items()
            if deployed.prefix in HIDDEN
            and not (name in applications and applications[name].running)
        }
        if not waiting:
            return
        name = min(waiting, key=lambda name: waiting[name])
        if self.clock() - waiting[name] > TURN_SECONDS:
            self.applications.delete(name)
            self.known.pop(name)
            self.turns[name] = self.clock()

    def _deploy(self, one: Endpoint, prefix: str) -> None:
        self.applications.deploy(one.name, one.placement, prefix)
        self.known[one.name] = Deployed(one.placement, prefix, self.clock())
        if not one.placed:
            self.registry.rollouts.settle(one.name, placed=False, waiting="its replicas start")

    def _take_away_alone(self, name: str, standing: Standing) -> None:
        try:
            self._take_away(name, standing)
        except Exception:
            log.exception("'%s' cannot be taken away", name)

    def _take_away(self, name: str, standing: Standing) -> None:
        """Once every replica of the pool answers for it, and nobody waits for a replica of its own.

        Ray never answers who waits for one of an application that is deleted, as some do where it
        has scaled to none: it gets one first.
        """
        known, now = self.known.get(name), self.clock()
        begin = known.since if known else self.begun
        since = self.left.setdefault(name, now)
        asked = known is not None and known.prefix == OPEN.format(name)
        if known and asked and not known.placement.min_replicas:
            kept = known.placement.model_copy(update={"min_replicas": 1})
            self.applications.deploy(name, kept, known.prefix)
            self.known[name] = Deployed(kept, known.prefix, now)
        elif (known is None or asked) and not standing.running and now - begin < TURN_SECONDS:
            self.left[name] = now
        elif now - since > ROUTED_SECONDS:
            self.applications.delete(name)
            self.known.pop(name, None)
