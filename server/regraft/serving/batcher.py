"""Dynamic batching: run at once when idle, collect while busy."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regraft.contract import Array, Task
from regraft.errors import NotReadyError, OverloadedError, TooLargeError
from regraft.serving.memory import BackboneMemory
from regraft.serving.predictor import Backbone, Predictor
from regraft.serving.telemetry import BatchPart, BatchRecord, Telemetry

Tensors = dict[str, Array]
Batches = list[tuple[BatchRecord, float]]
"""Batches in which rows of a request were, and how long these waited for it (s)."""

CHEAP = 0.02
"""A share of the largest batch within which padding costs less than one batch more."""

LINGER = 0.5
"""For how long a batch waits for more, as a share of the time that the one before took."""
PATIENCE = 1.0
"""Seconds after which what is to be computed once nobody waits has its turn nevertheless."""
WORTH = 4
"""Rows for which a batch waits; with fewer about, their clients may as well ask another replica."""


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
    """Some rows of one request that wait for, or are in, a batch. What has the least `start` is
    next: the work that each endpoint would have had by then, if all got as much at a time."""

    predictor: Predictor
    rows: Sequence[Any]
    answer: "asyncio.Future[Tensors]"
    size: int
    since: float = field(default_factory=time.perf_counter)
    start: int = 0
    bins: Array | None = None
    batches: Batches | None = None

    @property
    def work(self) -> int:
        """How much there is to compute, in the task's own measure."""
        return self.size * len(self.rows)


class Short:
    """Which work is known to take no longer than `seconds`, by the group of its predictor."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.known: dict[str, int] = {}

    def covers(self, item: Item) -> bool:
        return item.work <= self.known.get(item.predictor.group, 0)

    def learn(self, item: Item, seconds: float) -> None:
        known, group = self.known.get(item.predictor.group, 0), item.predictor.group
        if seconds > self.seconds:
            self.known[group] = min(known, item.work - 1)
        else:
            self.known[group] = max(known, item.work)


class Batcher:
    """Batches the rows of all requests of one event loop for one worker thread.

    There is no task that could die: a request starts a batch when none runs, and the end of a batch
    starts the next. Requests whose client is gone are dropped before they are computed.

    Endpoints that share a replica get equal shares of it: nobody waits behind all that another has
    sent. Source: Goyal, Vin & Cheng 1996, start-time fair queueing.

    A batch waits a little for those who were just answered to ask again: rows of larger batches
    cost less, an eighth with 32 clients and two replicas on two processors.

    A short request that comes alone runs on the event loop: to change to the worker thread and back
    costs more than it could gain, a millisecond of five.
    """

    def __init__(
        self, worker: Executor, limits: Limits, telemetry: Telemetry, memory: BackboneMemory
    ) -> None:
        self.worker = worker
        self.memory = memory
        self.limits = limits
        self.telemetry = telemetry
        self.waiting: list[Item] = []
        self.later: list[Item] = []
        self.queued = 0
        self.coming = 0
        self.busy = False
        self.calm = False
        self.lingering: asyncio.TimerHandle | None = None
        self.quorum = 0
        self.virtual = 0
        self.finish: dict[str, int] = {}
        self.turned = 0.0
        self.short = Short(limits.short_seconds)

    async def predict(
        self,
        predictor: Predictor,
        rows: Sequence[Any],
        later: bool = False,
        batches: Batches | None = None,
    ) -> Tensors:
        """Response tensors for the rows of one request, in order; `later`: once nobody waits. The
        batches that they were in are added to `batches`."""
        self.check(len(rows))
        self._check_room(predictor.name, len(rows))
        with self.memory.using(predictor.backbone):
            if not predictor.backbone.loaded:
                await self._fetch(predictor.backbone, len(rows))
            return await self._predict(predictor, rows, later, batches)

    def check(self, rows: int) -> None:
        """TooLargeError if no request may have so many rows."""
        if rows > self.limits.queued_rows:
            raise TooLargeError(
                f"The request has {rows} rows; at most {self.limits.queued_rows} are taken."
            )

    def _check_room(self, name: str, rows: int) -> None:
        """OverloadedError where too many rows wait already. Beyond the bound, and up to twice that,
        each endpoint has its equal share."""
        waiting, most = self.queued + self.coming, self.limits.queued_rows
        if waiting + rows <= most:
            return
        names = {item.predictor.name for item in self.waiting} | {name}
        own = sum(len(item.rows) for item in self.waiting if item.predictor.name == name)
        if waiting + rows > 2 * most or own + rows > most / len(names):
            raise OverloadedError(f"The queue is full: {waiting} rows are waiting.")

    async def _fetch(self, backbone: Backbone, rows: int) -> None:
        """Rows that wait for their backbone count as waiting."""
        self.coming += rows
        try:
            await self.memory.fetch(backbone)
        finally:
            self.coming -= rows

    async def _predict(
        self, predictor: Predictor, rows: Sequence[Any], later: bool, batches: Batches | None
    ) -> Tensors:
        parts = self._parts(predictor.task, rows)
        items = [self._enqueue(predictor, [rows[n] for n in part], later) for part in parts]
        for item in items:
            item.batches = batches
        if not self.busy:
            self.busy = True
            asyncio.get_running_loop().call_soon(self._start)
        elif self.lingering is not None and self.queued >= self.quorum:
            asyncio.get_running_loop().call_soon(self._linger_no_more)
        if len(items) == 1:
            return await items[0].answer
        answers = await asyncio.gather(*(item.answer for item in items))
        back = np.argsort(np.concatenate(parts))
        return {
            name: np.concatenate([answer[name] for answer in answers])[back] for name in answers[0]
        }

    def _parts(self, task: Task, rows: Sequence[Any]) -> list[list[int]]:
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

    def _enqueue(self, predictor: Predictor, rows: Sequence[Any], later: bool) -> Item:
        size = max(predictor.task.size(row) for row in rows)
        item = Item(predictor, rows, asyncio.get_running_loop().create_future(), size)
        if later:
            self.later.append(item)
        else:
            item.start = max(self.virtual, self.finish.get(predictor.name, 0))
            self.finish[predictor.name] = item.start + item.work
            self.waiting.append(item)
            self.queued += len(rows)
        return item

    def _start(self) -> None:
        batch = self._overdue()
        alone = not batch
        if not batch:
            batch = self._take()
        if not batch and self.later:
            alone, batch = False, [self.later.pop(0)]
        self.busy = bool(batch)
        if not batch:
            return
        # Clients may leave while it is computed.
        self.memory.take(batch[0].predictor.backbone)
        if alone and self.calm and not self.waiting and self.short.covers(batch[0]):
            self._end(batch, run_batch(batch))
            return
        loop = asyncio.get_running_loop()
        try:
            running = self.worker.submit(run_batch, batch)
        except RuntimeError:  # the worker was shut down
            self._give_up(batch)
            return
        running.add_done_callback(
            lambda done: loop.call_soon_threadsafe(self._collect, batch, done)
        )

    def _overdue(self) -> list[Item]:
        """What waits for a time when nobody does, if it has waited too long."""
        if not self.later:
            return []
        now = time.perf_counter()
        if now - max(self.later[0].since, self.turned) < PATIENCE:
            return []
        self.turned = now
        return [self.later.pop(0)]

    def _collect(self, batch: list[Item], done: "Future[Done]") -> None:
        if done.cancelled():
            self._give_up(batch)
        else:
            self._end(batch, done.result())

    def _give_up(self, batch: list[Item]) -> None:
        self.busy = False
        self.memory.give(batch[0].predictor.backbone)
        for item in batch:
            if not item.answer.done():
                item.answer.set_exception(NotReadyError("This replica is stopping."))

    def _take(self) -> list[Item]:
        """The item whose turn it is, of one endpoint the oldest, and those of its group that are
        nearest to it in size."""
        alive = [item for item in self.waiting if not item.answer.done()]
        if not alive:
            self.waiting, self.queued = [], 0
            self.virtual = 0
            self.finish.clear()
            return []
        oldest = min(alive, key=lambda item: item.start)
        self.virtual = oldest.start
        group = [item for item in alive if item.predictor.group == oldest.predictor.group]
        batch = self._fitting(oldest, self._near(oldest, group))
        taken = set(map(id, batch))
        self.waiting = [item for item in alive if id(item) not in taken]
        self.queued = sum(len(item.rows) for item in self.waiting)
        return batch

    def _near(self, oldest: Item, group: list[Item]) -> list[Item]:
        """Sorted by how near they are in size to the oldest."""
        return sorted(group, key=lambda item: abs(item.size - oldest.size))

    def _fitting(self, oldest: Item, group: list[Item]) -> list[Item]:
        """As many as the bounds allow, at least the oldest; `group` is sorted by nearness."""
        task = oldest.predictor.task
        batch, rows, largest, work = [oldest], len(oldest.rows), oldest.size, oldest.work
        for item in group:
            if item is oldest:
                continue
            grown, widest = rows + len(item.rows), max(largest, item.size)
            filled = work + item.work
            if not self._fits(task, grown, widest, filled):
                break
            batch.append(item)
            rows, largest, work = grown, widest, filled
        return batch

    def _end(self, batch: list[Item], done: "Done") -> None:
        self.memory.give(batch[0].predictor.backbone)
        self.calm = len(batch) == 1 and not self.waiting
        if len(batch) == 1 and not isinstance(done.answers[0], Exception):
            self.short.learn(batch[0], done.record.seconds)
        for item, answer, part in zip(batch, done.answers, done.record.parts, strict=True):
            if item.answer.done():
                continue
            if item.batches is not None:
                item.batches.append((done.record, part.queued))
            if isinstance(answer, Exception):
                item.answer.set_exception(answer)
            else:
                item.answer.set_result(answer)
        self.telemetry.batch(done.record)
        self._go_on(batch, done.record.seconds)

    def _go_on(self, batch: list[Item], seconds: float) -> None:
        """Start the next batch: at once, or when as many wait as did before, but for LINGER of the
        time that this one took; unless one of another backbone would have to wait too."""
        group, rows = batch[0].predictor.group, sum(len(item.rows) for item in batch)
        self.quorum = min(self.limits.batch_rows, self.queued + rows)
        others = any(item.predictor.group != group for item in self.waiting)
        if self.calm or others or self.queued >= self.quorum or self.quorum < WORTH:
            self._start()
        else:
            loop = asyncio.get_running_loop()
            self.lingering = loop.call_later(LINGER * seconds, self._linger_no_more)

    def _linger_no_more(self) -> None:
        if self.lingering is not None:
            self.lingering.cancel()
            self.lingering = None
            self._start()


@dataclass(frozen=True)
class Done:
    """A batch that was computed: the answer of each item, or what went wrong with it."""

    answers: list[Tensors | Exception]
    record: BatchRecord


@dataclass
class Spans:
    """How long each step of a batch took (s)."""

    encoding: float = 0.0
    computing: float = 0.0
    answering: float = 0.0


def run_batch(batch: list[Item]) -> Done:
    """Compute a batch. If it fails its items are tried one by one, so that a request that breaks
    the model breaks no other."""
    begin, spans = time.perf_counter(), Spans()
    answers = _attempt(batch, spans)
    if len(batch) > 1 and isinstance(answers[0], Exception):
        answers = [_attempt([item], spans)[0] for item in batch]
    parts = tuple(
        BatchPart(
            item.predictor.name,
            str(item.predictor.version),
            len(item.rows),
            begin - item.since,
            item.bins,
        )
        for item in batch
    )
    return Done(answers, BatchRecord(parts, **vars(spans), begin=begin))


def _attempt(batch: list[Item], spans: Spans) -> list[Tensors | Exception]:
    """An answer for each item, or one and the same error for each."""
    try:
        return list(_compute(batch, spans))
    except Exception as error:  # noqa: BLE001 - a plugin's code or the runtime may raise anything
        return [error] * len(batch)
    except BaseException as error:  # noqa: BLE001 - such as a panic in a tokenizer
        return [RuntimeError(f"{type(error).__name__}: {error}")] * len(batch)


def _compute(batch: list[Item], spans: Spans) -> list[Tensors]:
    """One forward of the shared backbone, then the head of each request."""
    first, begin = batch[0].predictor, time.perf_counter()
    encoded = first.encoder.encode([row for item in batch for row in item.rows])
    spans.encoding += (encoding := time.perf_counter()) - begin
    features = first.backbone.features(encoded)
    spans.computing += (computing := time.perf_counter()) - encoding
    answers, start = [], 0
    for item in batch:
        end = start + len(item.rows)
        own = features[start:end]
        answers.append(item.predictor.task.decode(item.predictor.head(own)))
        if item.predictor.watch is not None:
            item.bins = item.predictor.watch.look(own)
        start = end
    spans.answering += time.perf_counter() - computing
    return answers
