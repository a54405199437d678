"""Which rows wait, and which of them are computed together next."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regraft.contract import Array, Task
from regraft.errors import DeadlineError, OverloadedError
from regraft.serving.predictor import Predictor
from regraft.serving.telemetry import BatchRecord

Tensors = dict[str, Array]
Batches = list[tuple[BatchRecord, float]]
"""Batches in which rows of a request were, and how long these waited for it (s)."""

CHEAP = 0.02
"""A share of the largest batch within which padding costs less than one batch more."""
PATIENCE = 1.0
"""Seconds after which what is to be computed once nobody waits has its turn nevertheless."""


@dataclass(frozen=True)
class Limits:
    """The bounds of one batch and of the queue, in rows; how many times its rows' size a padded
    batch may have; and for how long the event loop may be held up (s)."""

    batch_rows: int = 16
    queued_rows: int = 512
    padding: float = 1.2
    short_seconds: float = 0.02


@dataclass
class Item:
    """Some rows of one request that wait for, or are in, a batch. Nobody waits for their answer
    after `deadline`, a time of `time.perf_counter`."""

    predictor: Predictor
    rows: Sequence[Any]
    answer: "asyncio.Future[Tensors]"
    size: int
    deadline: float | None = None
    batches: Batches | None = None
    since: float = field(default_factory=time.perf_counter)
    bins: Array | None = None

    @property
    def work(self) -> int:
        """How much there is to compute, in the task's own measure."""
        return self.size * len(self.rows)

    @property
    def endpoint(self) -> str:
        return self.predictor.name

    def waits(self, now: float) -> bool:
        """Whether somebody waits for it still. Who waits no longer is told so."""
        if self.deadline is not None and now > self.deadline and not self.answer.done():
            self.answer.set_exception(
                DeadlineError("The request's time was over before its rows had their turn.")
            )
        return not self.answer.done()


class Waiting:
    """The rows that wait at one replica.

    Endpoints get equal shares of it: nobody waits behind all that another has sent. The endpoint
    for which least was computed is next, and a batch has as many rows of each that share its
    backbone, as far as they have some. What is computed counts, and not what was asked for and
    given up. Source: Goyal, Vin & Cheng 1996, start-time fair queueing.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.items: list[Item] = []
        self.later: list[Item] = []
        self.rows = 0
        self.turned = 0.0
        self.virtual = 0
        self.spent: dict[str, int] = {}

    def add(self, item: Item) -> None:
        name = item.endpoint
        # Who had nothing to ask for has no claim on what others had meanwhile.
        self.spent[name] = max(self.virtual, self.spent.get(name, 0))
        self.items.append(item)
        self.rows += len(item.rows)

    def check_room(self, name: str, rows: int, coming: int = 0) -> None:
        """OverloadedError where too many rows wait already, with `coming` more. Beyond the bound,
        and up to twice that, each endpoint has its equal share."""
        waiting, most = self.rows + coming, self.limits.queued_rows
        if waiting + rows <= most:
            return
        names = {item.endpoint for item in self.items} | {name}
        own = sum(len(item.rows) for item in self.items if item.endpoint == name)
        if waiting + rows > 2 * most or own + rows > most / len(names):
            raise OverloadedError(f"The queue is full: {waiting} rows are waiting.")

    def overdue(self) -> list[Item]:
        """What waits for a time when nobody does, if it has waited too long."""
        if not self.later:
            return []
        now = time.perf_counter()
        if now - max(self.later[0].since, self.turned) < PATIENCE:
            return []
        self.turned = now
        return [self.later.pop(0)]

    def take(self) -> list[Item]:
        """The item whose turn it is, of one endpoint the oldest, and those of its group that are
        nearest to it in size."""
        now = time.perf_counter()
        alive = [item for item in self.items if item.waits(now)]
        if not alive:
            self.items, self.rows, self.virtual = [], 0, 0
            self.spent.clear()
            return []
        oldest = min(alive, key=lambda item: self.spent[item.endpoint])
        self.virtual = self.spent[oldest.endpoint]
        group = [item for item in alive if item.predictor.group == oldest.predictor.group]
        batch = self._fitting(oldest, self._shared(self.near(oldest, group)))
        for item in batch:
            self.spent[item.endpoint] += item.work
        taken = set(map(id, batch))
        self.items = [item for item in alive if id(item) not in taken]
        self.rows = sum(len(item.rows) for item in self.items)
        return batch

    def near(self, oldest: Item, group: list[Item]) -> list[Item]:
        """Sorted by how near they are in size to the oldest."""
        return sorted(group, key=lambda item: abs(item.size - oldest.size))

    def _shared(self, group: list[Item]) -> list[Item]:
        """Of each endpoint first as many as its share of a batch."""
        names = {item.endpoint for item in group}
        if len(names) == 1:
            return group
        share, rows = -(-self.limits.batch_rows // len(names)), Counter[str]()
        within: list[Item] = []
        beyond: list[Item] = []
        for item in group:
            rows[item.endpoint] += len(item.rows)
            (within if rows[item.endpoint] <= share else beyond).append(item)
        return within + beyond

    def _fitting(self, oldest: Item, group: list[Item]) -> list[Item]:
        """As many as the bounds allow, at least the oldest, the first of the group first."""
        task = oldest.predictor.task
        batch, rows, largest, work = [oldest], len(oldest.rows), oldest.size, oldest.work
        for item in group:
            if item is oldest:
                continue
            grown, widest = rows + len(item.rows), max(largest, item.size)
            filled = work + item.work
            if not self._fits(task, grown, widest, filled):
                if grown > self.limits.batch_rows:
                    break
                continue
            batch.append(item)
            rows, largest, work = grown, widest, filled
        return batch

    def parts(self, task: Task, rows: Sequence[Any]) -> list[list[int]]:
        """The numbers of a request's rows, in order, by such as one batch may have: those of like
        size."""
        if len(rows) == 1:
            return [[0]]
        sizes = [task.size(row) for row in rows]
        parts: list[list[int]] = [[]]
        filled = 0
        for number in sorted(range(len(rows)), key=sizes.__getitem__):
            widest, filled = sizes[number], filled + sizes[number]
            if parts[-1] and not self._fits(task, len(parts[-1]) + 1, widest, filled):
                parts.append([])
                filled = widest
            parts[-1].append(number)
        return [sorted(part) for part in parts]

    def _fits(self, task: Task, rows: int, widest: int, filled: int) -> bool:
        """Whether so many rows, of which so much is no padding, may be one batch."""
        padded = rows * widest if task.pads else filled
        if rows > self.limits.batch_rows or padded > task.largest_batch:
            return False
        return padded <= filled * self.limits.padding or padded <= task.largest_batch * CHEAP


def joined(answers: Sequence[Tensors], parts: Sequence[Sequence[int]]) -> Tensors:
    """The answers to the parts of a request as one, in the order of its rows."""
    back = np.argsort(np.concatenate(parts))
    return {name: np.concatenate([one[name] for one in answers])[back] for name in answers[0]}
