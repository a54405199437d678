"""A version that does worse than the one before it is taken back: more of its requests break, its
rows take far longer to compute, or more of its answers turn out wrong.

How long whole requests take depends on the load, which may differ between then and now. What
answers beside it is measured over the same time; what answered before it, over the time before."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from regraft.domain import JSON, Endpoint
from regraft.evaluation.intervals import Interval, difference_of_shares, level_at_any_time, share
from regraft.registry.feedback import Judged
from regraft.registry.store import Registry
from regraft.serving.rollout import CANARY
from regraft.serving.statistics import KINDS, TRIAL, Statistics

log = logging.getLogger("regraft.reconcile")

WATCHED_SECONDS = 600.0
"""For how long a version is watched once it answers all requests."""
LEAST_REQUESTS = 20
MORE_FAULTS = 0.02
"""Broken requests more than the other version has, as a share, that are put up with."""
LEAST_TIMED, LEAST_BATCHES = 50, 5
"""Rows that are timed of both versions, and batches of one kind."""
SLOWER = 3.0
"""How many times as long a row may take to compute, if it is also `SLOWER_SECONDS` longer."""
SLOWER_SECONDS = 0.005
MOVES = ("publish", "promote", "rollback")
LEAST_JUDGED = 30
Batches = Mapping[tuple[int, int], tuple[int, float]]
"""By their rows and the power of two that their work comes to, how many batches there were and the
time that they took in all (s)."""


@dataclass(frozen=True)
class Seen:
    """What has been seen of a version: requests, those that broke, batches, and of the rows whose
    true label came back how many were right. All but the last is counted from the start of the
    server on."""

    requests: int = 0
    faults: int = 0
    batches: Batches = field(default_factory=dict)
    judged: int = 0
    right: int = 0

    def since(self, before: "Seen") -> "Seen":
        """What came after `before`; all of it where counts have begun anew, as they do with the
        server."""
        requests, faults = self.requests - before.requests, self.faults - before.faults
        batches = dict(self.batches)
        for kind, (count, seconds) in before.batches.items():
            now = batches.get(kind, (0, 0.0))
            batches[kind] = now[0] - count, now[1] - seconds
        if min(requests, faults, *(count for count, _ in batches.values())) < 0:
            return self
        return replace(self, requests=requests, faults=faults, batches=batches)


def objection(new: Seen, old: Seen) -> str | None:
    """Why the new version should not go on, if the figures leave little doubt of it."""
    return _breaks(new, old) or _drags(new, old) or _errs(new, old)


def _breaks(new: Seen, old: Seen) -> str | None:
    if new.requests < LEAST_REQUESTS:
        return None
    if not old.requests:
        level = level_at_any_time(new.requests, LEAST_REQUESTS)
        usual, more = 0.0, share(new.faults, new.requests, level)
    else:
        usual = old.faults / old.requests
        counts = (new.faults, new.requests), (old.faults, old.requests)
        more = _difference(*counts, LEAST_REQUESTS)
    if more.low <= MORE_FAULTS:
        return None
    return f"{new.faults} of its {new.requests} requests broke, {usual:.1%} of the other version's."


def _drags(new: Seen, old: Seen) -> str | None:
    """By batches of one kind: a row of a large batch takes less time, who is asked seldom has small
    ones, and long texts may come at another time than short ones."""
    rows, ours, theirs = 0, 0.0, 0.0
    for kind in new.batches.keys() & old.batches.keys():
        (count, seconds), (other_count, other_seconds) = new.batches[kind], old.batches[kind]
        both = min(count, other_count)
        if both >= LEAST_BATCHES:
            rows += both * kind[0]
            ours += both * seconds / count
            theirs += both * other_seconds / other_count
    if rows < LEAST_TIMED:
        return None
    ours, theirs = ours / rows, theirs / rows
    if ours < SLOWER * theirs or ours - theirs < SLOWER_SECONDS:
        return None
    return f"A row took it {ours * 1e3:.0f} ms, the other version {theirs * 1e3:.0f} ms."


def _errs(new: Seen, old: Seen) -> str | None:
    if min(new.judged, old.judged) < LEAST_JUDGED:
        return None
    counts = (new.right, new.judged), (old.right, old.judged)
    if _difference(*counts, LEAST_JUDGED).high >= 0:
        return None
    return (
        f"{new.right / new.judged:.1%} of {new.judged} answers were right by the labels that came "
        f"back, {old.right / old.judged:.1%} of the other version's {old.judged}."
    )


def _difference(new: tuple[int, int], old: tuple[int, int], least: int) -> Interval:
    """Of two shares, which are looked at every second from `least` trials of each on: as many as
    half that of both."""
    of = new[1] * old[1] / (new[1] + old[1])
    level = level_at_any_time(of, least / 2)
    return difference_of_shares(share(*new, level), share(*old, level))


@dataclass(frozen=True)
class Watch:
    """A version to watch, the one to measure it by, which may answer beside it, and since when."""

    name: str
    new: int
    old: int
    since: datetime
    beside: bool


@dataclass
class Guard:
    """Watches canaries, and versions that were promoted a moment ago."""

    registry: Registry
    clock: Callable[[], float] = time.time
    before: dict[Watch, tuple[Seen, Seen]] = field(default_factory=dict)

    def step(self) -> None:
        """Take back what should not go on."""
        endpoints = self.registry.models.endpoints()
        watches = [watch for one in endpoints for watch in self._watches(one)]
        self.before = {watch: seen for watch, seen in self.before.items() if watch in watches}
        counts = Statistics(self.registry.home.statistics).summed() if watches else {}
        for watch in watches:
            try:
                self._look(watch, counts)
            except Exception:
                log.exception("cannot tell how version %d of '%s' does", watch.new, watch.name)

    def _look(self, watch: Watch, counts: dict[tuple[str, str], JSON]) -> None:
        name, versions = watch.name, (watch.new, watch.old)
        lately = self.registry.feedback.judged(name, watch.since)
        told = [counts.get((name, str(version))) for version in versions]
        now = [_seen(one, lately.get(v)) for one, v in zip(told, versions, strict=True)]
        before = self.before.setdefault(watch, (now[0], now[1]))
        new, old = (one.since(then) for one, then in zip(now, before, strict=True))
        if not watch.beside or old.requests < LEAST_REQUESTS:
            old = _seen(told[1], self.registry.feedback.judged(name).get(watch.old))
        why = objection(new, old)
        if why is not None:
            self.registry.models.roll_back(name, watch.new, why)

    def _watches(self, one: Endpoint) -> Iterator[Watch]:
        trial = one.trial
        if trial is not None and trial.mode == CANARY:
            yield Watch(one.name, trial.version, one.version, trial.since, beside=True)
        fresh = self.clock() - one.changed.astimezone(UTC).timestamp() < WATCHED_SECONDS
        if one.previous is not None and fresh and not self._went_back(one):
            yield Watch(one.name, one.version, one.previous, one.changed, beside=False)

    def _went_back(self, one: Endpoint) -> bool:
        """Whether the version that answers is one to which the endpoint was rolled back. That a
        trial ended since is called so too, and moved nothing."""
        history = self.registry.rollouts.history(one.name)
        moves = (each for each in history if each.action in MOVES and each.time <= one.changed)
        last = next(moves, None)
        return last is not None and last.action == "rollback"


def _seen(counts: JSON | None, labels: Judged | None) -> Seen:
    judged, right = labels or (0, 0)
    if counts is None:
        return Seen(judged=judged, right=right)
    batches = {
        _kind(kind): (took["count"], took["ns"] / 1e9) for kind, took in counts[KINDS].items()
    }
    success, failed = counts["inference_stats"]["success"], counts["inference_stats"]["fail"]
    return Seen(
        requests=success["count"] + failed["count"],
        faults=counts[TRIAL]["faults"],
        batches=batches,
        judged=judged,
        right=right,
    )


def _kind(text: str) -> tuple[int, int]:
    rows, power = map(int, text.split())
    return rows, power
