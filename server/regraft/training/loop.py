"""The training loop in plain torch: no Ray, any number of ranks."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from regraft.arrays import joined_rows
from regraft.contract import Array, Rows, Step, Task, TrainingPlan, TransferStrategy
from regraft.domain import JSON
from regraft.evaluation.calibration import measured
from regraft.model import TargetModel
from regraft.training.checkpoints import Checkpoint, Checkpoints

NONE = -1
"""The epoch of a model that was not trained."""
TOGETHER = 8
"""Batches within which rows are sorted by size."""


@dataclass(frozen=True)
class Part:
    """Rows and their targets, which a rank takes its share of, and rows without any."""

    rows: Sequence[Any]
    targets: Array
    unlabelled: Sequence[Any] = ()


@dataclass(frozen=True)
class Surroundings:
    """What differs between one process and a cluster; the defaults are those of one process."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model
    gather: Callable[[Array], list[Array]] = lambda array: [array]
    any_rank: Callable[[bool], bool] = lambda flag: flag
    report: Callable[[str, JSON], None] = lambda kind, data: None
    cancelled: Callable[[], bool] = lambda: False
    expired: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Outcome:
    """How training ended: `state` is finished, expired, unstarted (expired before the first step),
    cancelled or diverged. The best epoch of the first two is kept."""

    state: str
    epochs: int
    validation: JSON


class Loop:
    """One training run of one model by one strategy."""

    def __init__(
        self,
        model: TargetModel,
        task: Task,
        strategy: TransferStrategy,
        checkpoints: Checkpoints,
        around: Surroundings,
    ) -> None:
        self.model = model.to(around.device)
        self.task = task
        self.strategy = strategy
        self.plan: TrainingPlan = strategy.plan()
        self.around = around
        self.checkpoints = checkpoints
        self.optimizer = _optimizer(model, strategy, self.plan)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.best: Checkpoint | None = None
        self.sizes = np.zeros(0)
        self.last = self.plan.epochs

    def run(
        self, train: Part, validation: Part, epochs: int | None = None, fitted: bool = False
    ) -> Outcome:
        """Train until the plan, the patience or somebody ends it, or so many epochs of the plan
        are through. The best epoch is kept; the last where validation rows cannot tell it: there
        are none, or the head is yet to be fitted. Where time is up before the first step, a model
        whose head was `fitted` is kept as it is."""
        wrapped = self.around.wrap(self.model)
        self.sizes = _sizes(self.task, [train.rows, train.unlabelled])
        first = self._resume()
        epoch, self.last = first - 1, epochs or self.plan.epochs
        for epoch in range(first, self.last):
            if self.best is not None and epoch - self.best.epoch > self.plan.patience:
                return self._outcome("finished", epoch)
            state = self._epoch(wrapped, train, epoch)
            if state == "unstarted" and fitted:
                self._validate(validation, NONE)
                return self._outcome("expired", 0)
            if state not in ("finished", "expired"):
                return self._outcome(state, epoch)
            self._validate(validation, epoch)
            if state == "expired":
                return self._outcome(state, epoch + 1)
        return self._outcome("finished", epoch + 1)

    def _outcome(self, state: str, epochs: int) -> Outcome:
        return Outcome(state, epochs, self.best.metrics if self.best else {})

    def _resume(self) -> int:
        """Load the last checkpoint if there is one; the epoch to go on with."""
        last = self.checkpoints.load(self.model, self.optimizer)
        self.best = self.checkpoints.best()
        return 0 if last is None else last.epoch + 1

    def _epoch(self, wrapped: nn.Module, train: Part, epoch: int) -> str:
        """One pass over the rows. Its randomness depends on the seed and the epoch alone, so that
        a resumed run goes the same way."""
        torch.manual_seed(self.strategy.seed * 1_000_003 + epoch * 1009 + self.around.rank)
        self.model.train()
        self.strategy.start_epoch(epoch, self.model)
        steps = self._steps(train)
        for number, chosen in enumerate(self._batches(train, epoch)):
            if self.around.any_rank(self.around.cancelled()):
                return "cancelled"
            if self.around.any_rank(self.around.expired()):
                return "expired" if number or self.best else "unstarted"
            taken, total = epoch * steps + number, steps * self.plan.epochs
            self._set_rates(taken, total)
            loss, norm = self._step(wrapped, train, chosen, taken / total)
            if not math.isfinite(norm):
                return "diverged"
            done = {"epoch": epoch + 1, "epochs": self.last, "step": number + 1}
            self.around.report("step", {**done, "steps": steps, "loss": loss})
        return "finished"

    def _step(
        self, wrapped: nn.Module, train: Part, chosen: "Chosen", progress: float
    ) -> tuple[float, float]:
        """One update; the task's loss and the norm of the gradient, which all ranks share. Rows
        without labels go through in the same pass."""
        indices, others, share = chosen
        rows = [train.rows[i] for i in indices] + [train.unlabelled[i] for i in others]
        batch = self._to_device(self._augmented(rows))
        targets = torch.from_numpy(train.targets[indices]).to(self.around.device)
        known, unknown = _halves(Rows(batch, *wrapped(**batch)), len(indices))
        loss = self.task.loss(known.logits, targets)
        step = Step(
            known.batch, known.features, known.logits, self.model, targets, loss, progress, unknown
        )
        self.optimizer.zero_grad(set_to_none=True)
        # The mean over ranks weighs them alike, and some may have a row more.
        (self.strategy.loss(step) * share).backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.max_gradient_norm)
        self.optimizer.step()
        return loss.item(), float(norm)

    def _validate(self, validation: Part, epoch: int) -> None:
        """Measure the epoch, and keep it: as the last, and as the best if it is."""
        told = len(validation.rows) > 0 and not self.strategy.refits_head
        kept = self._metrics(validation) if told else {}
        now = Checkpoint(epoch, kept)
        better = self.best is None or not kept or self._rank(kept) > self._rank(self.best.metrics)
        if better:
            self.best = now
        if self.around.rank == 0:
            self.checkpoints.save(now, self.model, self.optimizer, best=better)
        self.around.report("epoch", {"epoch": epoch + 1, "validation": kept})

    def _metrics(self, validation: Part) -> JSON:
        metrics = measured(self.task, self._outputs(validation), validation.targets)
        return {name: value for name, value in metrics.items() if isinstance(value, float)}

    def _rank(self, metrics: JSON) -> tuple[float, float]:
        return metrics[self.task.primary], -metrics["loss"]

    def _outputs(self, part: Part) -> Array:
        """Served outputs of all rows; each rank computes every world-th, then all share."""
        self.model.eval()
        mine = range(self.around.rank, len(part.rows), self.around.world)
        known = self._forward(part.rows, mine or range(1))  # no task encodes an empty batch
        shares = self.around.gather(known[: len(mine)])
        whole = joined_rows(shares)
        order = [np.arange(rank, len(part.rows), self.around.world) for rank in range(len(shares))]
        joined = np.empty_like(whole)
        joined[np.concatenate(order)] = whole
        return joined

    @torch.no_grad()
    def _forward(self, rows: Sequence[Any], chosen: range) -> Array:
        """Rows are taken a batch at a time: each may be a file."""
        size = 2 * self.plan.batch_size
        parts = []
        for start in range(0, len(chosen), size):
            batch = self._encode([rows[i] for i in chosen[start : start + size]])
            parts.append(self.task.activate(self.model(**batch)[1]).cpu().numpy())
        return joined_rows(parts)

    def _augmented(self, rows: Sequence[Any]) -> dict[str, Array]:
        """Drawn from torch's generator, which `_epoch` seeds."""
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        return self.task.augment(self.task.encode(rows), rng)

    def _encode(self, rows: Sequence[Any]) -> dict[str, Tensor]:
        return self._to_device(self.task.encode(rows))

    def _to_device(self, encoded: dict[str, Array]) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(array).to(self.around.device) for name, array in encoded.items()
        }

    def _steps(self, train: Part) -> int:
        """Steps of an epoch: one pass over the rows, or its share of the plan's least steps."""
        return max(self._pass(train), math.ceil(self.plan.least_steps / self.plan.epochs))

    def _pass(self, train: Part) -> int:
        return max(1, math.ceil(len(train.rows) / self.plan.batch(len(train.rows))))

    def _batches(self, train: Part, epoch: int) -> Iterator["Chosen"]:
        """This rank's part of each batch of the shuffled rows, and of as many without labels; every
        rank takes as many steps."""
        rng, steps = np.random.default_rng([self.strategy.seed, epoch]), self._steps(train)
        rows = len(train.rows)
        count = rows if steps == self._pass(train) else steps * self.plan.batch(rows)
        passes = [rng.permutation(rows) for _ in range(math.ceil(count / rows))]
        more = rng.permutation(len(train.unlabelled)) if self._sees(train) else np.zeros(0, int)
        others = np.resize(more, count if len(more) else 0)
        sizes, shuffled = self.sizes, rng.permutation(steps)
        batches = _alike(np.concatenate(passes)[:count], sizes[: len(train.rows)], steps)
        beside = _alike(others, sizes[len(train.rows) :], steps)
        for number in shuffled:
            mine, world = self._share(batches[number]), self.around.world
            share = len(mine) * world / max(len(batches[number]), world)
            yield Chosen(mine, self._share(beside[number]), share)

    def _sees(self, train: Part) -> bool:
        """Whether the strategy looks at rows without labels, and there are some."""
        return self.strategy.unlabelled != "unused" and len(train.unlabelled) > 0

    def _share(self, batch: Array) -> Array:
        if not len(batch):
            return batch.astype(np.int64)
        padded = np.resize(batch, max(len(batch), self.around.world))
        return padded[self.around.rank :: self.around.world]

    def _set_rates(self, step: int, total: int) -> None:
        """Linear warm-up, then linear decay to zero; nothing for groups that rest still."""
        warm = max(1, int(total * self.plan.warmup))
        factor = min((step + 1) / warm, max(0.0, (total - step) / max(1, total - warm)))
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor if step >= group["start"] * total else 0.0


class Chosen(NamedTuple):
    """The positions of a rank's rows of a batch and of those without labels; how many it has of the
    first, in parts of what each rank has in the mean."""

    indices: Array
    others: Array
    share: float


def _sizes(task: Task, parts: Sequence[Sequence[Any]]) -> Array:
    """Of each row; all alike where no row is padded, which spares reading files."""
    if not task.pads or type(task).size is Task.size:
        return np.zeros(sum(map(len, parts)))
    return np.array([task.size(row) for part in parts for row in part])


def _alike(order: Array, sizes: Array, steps: int) -> list[Array]:
    """Batches of rows of like size, which need little padding: within one pass over all rows they
    are sorted as far as some batches that lie together. Rows of two passes are never sorted
    together, or copies of one row would make up a batch."""
    rows, most = max(1, len(sizes)), TOGETHER * max(1, math.ceil(len(order) / steps))
    ordered = [
        window[np.argsort(sizes[window], kind="stable")]
        for start in range(0, len(order), rows)
        for window in _windows(order[start : start + rows], most)
    ]
    return np.array_split(np.concatenate([order[:0], *ordered]), steps)


def _windows(order: Array, most: int) -> list[Array]:
    return np.array_split(order, math.ceil(len(order) / most))


def _halves(whole: Rows, labelled: int) -> tuple[Rows, Rows | None]:
    """The rows with labels and those without, if there are any."""
    if len(whole.logits) == labelled:
        return whole, None
    return _slice(whole, slice(labelled)), _slice(whole, slice(labelled, None))


def _slice(rows: Rows, part: slice) -> Rows:
    batch = {name: tensor[part] for name, tensor in rows.batch.items()}
    return Rows(batch, rows.features[part], rows.logits[part])


def _optimizer(
    model: TargetModel, strategy: TransferStrategy, plan: TrainingPlan
) -> torch.optim.Optimizer:
    groups = [
        {
            "params": group.parameters,
            "lr": plan.learning_rate * group.rate,
            "start": group.start,
        }
        for group in strategy.parameter_groups(model)
        if group.parameters
    ]
    # Fused: a sixth of the time, and of a small batch's whole step a tenth (MiniLM, two cores).
    return torch.optim.AdamW(
        groups, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
    )
