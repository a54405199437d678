"""A version that does worse than the one before it is taken back: more of its requests break, its
rows take far longer to compute, or more of its answers turn out wrong.

How long whole requests take depends on the load, which may differ between then and now."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from regraft.domain import JSON, Endpoint
from regraft.evaluation.intervals import difference_of_shares, share
from regraft.registry.feedback import Live
from regraft.registry.store import Registry
from regraft.serving.rollout import CANARY
from regraft.serving.statistics import TRIAL, Statistics

WATCHED_SECONDS = 600.0
"""For how long a version is watched once it answers all requests."""
LEAST_REQUESTS = 20
MORE_FAULTS = 0.02
"""Broken requests more than the other version has, as a share, that are put up with."""
LEAST_TIMED = 50
SLOWER = 3.0
"""How many times as long a row may take to compute, if it is also `SLOWER_SECONDS` longer."""
SLOWER_SECONDS = 0.02
MOVES = ("publish", "promote", "rollback")
LEAST_JUDGED = 30


@dataclass(frozen=True)
class Seen:
    """What has been seen of a version: requests, those that broke, the rows that were computed and
    the time that took in all (s), and of those whose true label came back how many were right."""

    requests: int = 0
    faults: int = 0
    rows: int = 0
    seconds: float = 0.0
    judged: int = 0
    right: int = 0

    def since(self, before: "Seen") -> "Seen":
        """What came after `before`."""
        pairs = {name: (value, getattr(before, name)) for name, value in vars(self).items()}
        # A version's counts begin anew with the server.
        return Seen(
            **{name: now - then if now >= then else now for name, (now, then) in pairs.items()}
        )


def objection(new: Seen, old: Seen) -> str | None:
    """Why the new version should not go on, if the figures leave little doubt of it."""
    return _breaks(new, old) or _drags(new, old) or _errs(new, old)


def _breaks(new: Seen, old: Seen) -> str | None:
    if new.requests < LEAST_REQUESTS:
        return None
    usual = old.faults / old.requests if old.requests else 0.0
    if share(new.faults, new.requests).low <= usual + MORE_FAULTS:
        return None
    return f"{new.faults} of its {new.requests} requests broke, {usual:.1%} of the other version's."


def _drags(new: Seen, old: Seen) -> str | None:
    if min(new.rows, old.rows) < LEAST_TIMED:
        return None
    ours, theirs = new.seconds / new.rows, old.seconds / old.rows
    if ours < SLOWER * theirs or ours - theirs < SLOWER_SECONDS:
        return None
    return f"A row took it {ours * 1e3:.0f} ms, the other version {theirs * 1e3:.0f} ms."


def _errs(new: Seen, old: Seen) -> str | None:
    if min(new.judged, old.judged) < LEAST_JUDGED:
        return None
    ours, theirs = share(new.right, new.judged), share(old.right, old.judged)
    if difference_of_shares(ours, theirs).high >= 0:
        return None
    return (
        f"{ours.value:.1%} of {new.judged} answers were right by the labels that came back, "
        f"{theirs.value:.1%} of the other version's {old.judged}."
    )


@dataclass
class Guard:
    """Watches canaries, and versions that were promoted a moment ago."""

    registry: Registry
    clock: Callable[[], float] = time.time
    before: dict[tuple[str, int, datetime], Seen] = field(default_factory=dict)

    def step(self) -> None:
        """Take back what should not go on."""
        watched = [
            (one, pair) for one in self.registry.models.endpoints() if (pair := self._pair(one))
        ]
        if not watched:
            self.before.clear()
            return
        counts = Statistics(self.registry.home.statistics).summed()
        for one, (new, old, since) in watched:
            live = {found.version: found for found in self.registry.feedback.live(one.name)}
            ours, theirs = (_seen(counts.get((one.name, str(v))), live.get(v)) for v in (new, old))
            before = self.before.setdefault((one.name, new, since), ours)
            why = objection(ours.since(before), theirs)
            if why is not None:
                self.registry.models.roll_back(one.name, new, why)

    def _pair(self, one: Endpoint) -> tuple[int, int, datetime] | None:
        """The version to watch, the one to measure it by, and since when."""
        if one.trial is not None:
            canary = one.trial.mode == CANARY
            return (one.trial.version, one.version, one.trial.since) if canary else None
        fresh = self.clock() - one.changed.astimezone(UTC).timestamp() < WATCHED_SECONDS
        if one.previous is None or not fresh or self._went_back(one.name):
            return None
        return one.version, one.previous, one.changed

    def _went_back(self, name: str) -> bool:
        """Whether the version that answers is one to which the endpoint was rolled back."""
        moves = (one.action for one in self.registry.rollouts.history(name) if one.action in MOVES)
        return next(moves, None) == "rollback"


def _seen(counts: JSON | None, live: Live | None) -> Seen:
    judged, right = (live.judged, live.right) if live else (0, 0)
    if counts is None:
        return Seen(judged=judged, right=right)
    batches = counts["batch_stats"]
    success, failed = counts["inference_stats"]["success"], counts["inference_stats"]["fail"]
    return Seen(
        requests=success["count"] + failed["count"],
        faults=counts[TRIAL]["faults"],
        rows=sum(int(size) * steps["compute_infer"]["count"] for size, steps in batches.items()),
        seconds=sum(step["ns"] for steps in batches.values() for step in steps.values()) / 1e9,
        judged=judged,
        right=right,
    )
