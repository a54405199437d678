"""Dynamic batching: run at once when idle, collect while busy."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from regraft.errors import NotReadyError, TooLargeError
from regraft.serving.memory import BackboneMemory
from regraft.serving.predictor import Backbone, Predictor
from regraft.serving.telemetry import BatchPart, BatchRecord, Telemetry
from regraft.serving.waiting import Batches, Item, Limits, Tensors, Waiting, joined

LINGER = 0.5
"""For how long a batch waits for more, as a share of the time that the one before took."""
WORTH = 4
"""Rows for which a batch waits; with fewer about, their clients may as well ask another replica."""


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
        self.waiting = Waiting(limits)
        self.coming = 0
        self.busy = False
        self.calm = False
        self.lingering: asyncio.TimerHandle | None = None
        self.quorum = 0
        self.short = Short(limits.short_seconds)

    async def predict(
        self,
        predictor: Predictor,
        rows: Sequence[Any],
        later: bool = False,
        deadline: float | None = None,
        batches: Batches | None = None,
    ) -> Tensors:
        """Response tensors for the rows of one request, in order; `later`: once nobody waits. The
        batches that they were in are added to `batches`. DeadlineError if a batch could not begin
        until `deadline`, a time of `time.perf_counter`."""
        self.check(len(rows))
        self.waiting.check_room(predictor.name, len(rows), self.coming)
        with self.memory.using(predictor.backbone):
            if not predictor.backbone.loaded:
                await self._fetch(predictor.backbone, len(rows))
            parts = self.waiting.parts(predictor.task, rows)
            chosen = [[rows[n] for n in part] for part in parts]
            items = [self._item(predictor, one, deadline, batches) for one in chosen]
            self._enqueue(items, later)
            if len(items) == 1:
                return await items[0].answer
            return joined(await asyncio.gather(*(item.answer for item in items)), parts)

    def check(self, rows: int) -> None:
        """TooLargeError if no request may have so many rows."""
        if rows > self.limits.queued_rows:
            raise TooLargeError(
                f"The request has {rows} rows; at most {self.limits.queued_rows} are taken."
            )

    async def _fetch(self, backbone: Backbone, rows: int) -> None:
        """Rows that wait for their backbone count as waiting."""
        self.coming += rows
        try:
            await self.memory.fetch(backbone)
        finally:
            self.coming -= rows

    def _item(
        self,
        predictor: Predictor,
        rows: Sequence[Any],
        deadline: float | None,
        batches: Batches | None,
    ) -> Item:
        size = max(predictor.task.size(row) for row in rows)
        answer = asyncio.get_running_loop().create_future()
        return Item(predictor, rows, answer, size, deadline, batches)

    def _enqueue(self, items: Sequence[Item], later: bool) -> None:
        for item in items:
            if later:
                self.waiting.later.append(item)
            else:
                self.waiting.add(item)
        if not self.busy:
            self.busy = True
            asyncio.get_running_loop().call_soon(self._start)
        elif self.lingering is not None and self.waiting.rows >= self.quorum:
            asyncio.get_running_loop().call_soon(self._linger_no_more)

    def _start(self) -> None:
        batch = self.waiting.overdue()
        alone = not batch
        if not batch:
            batch = self.waiting.take()
        if not batch and self.waiting.later:
            alone, batch = False, [self.waiting.later.pop(0)]
        self.busy = bool(batch)
        if not batch:
            return
        # Clients may leave while it is computed.
        self.memory.take(batch[0].predictor.backbone)
        if alone and self.calm and not self.waiting.items and self.short.covers(batch[0]):
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

    def _end(self, batch: list[Item], done: "Done") -> None:
        self.memory.give(batch[0].predictor.backbone)
        self.calm = len(batch) == 1 and not self.waiting.items
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
        self.quorum = min(self.limits.batch_rows, self.waiting.rows + rows)
        others = any(item.predictor.group != group for item in self.waiting.items)
        if self.calm or others or self.waiting.rows >= self.quorum or self.quorum < WORTH:
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
    work = max(item.size for item in batch) * sum(part.rows for part in parts)
    return Done(answers, BatchRecord(parts, **vars(spans), begin=begin, work=work))


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
