"""The training loop, in one process, on a small model."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from regraft.contract import ParameterGroup, Step, TrainingPlan
from regraft.model import TargetModel
from regraft.testing.toy import ToyTask, toy_model, toy_part, toy_task
from regraft.training.checkpoints import Checkpoints
from regraft.training.loop import Loop, Outcome, Part, Surroundings, _alike
from regraft_transfer.full import Full, FullOptions

TRAIN, VALIDATION = toy_part(72, seed=1), toy_part(24, seed=2)
OPTIONS = FullOptions(
    epochs=4,
    batch_size=8,
    least_steps=0,
    learning_rate=3e-3,
    head_rate=1,
    layer_decay=1,
    patience=9,
)


class Recording(ToyTask):
    """Notes the rows that it encodes."""

    def __init__(self) -> None:
        super().__init__(toy_task().inputs, toy_task().labels)
        self.seen: list[Any] = []

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        self.seen += rows
        return super().encode(rows)


class Meeting:
    """Ranks in threads that share what each brings."""

    def __init__(self, world: int) -> None:
        self.barrier = threading.Barrier(world)
        self.brought: list[Any] = [None] * world

    def gather(self, rank: int) -> Callable[[Any], list[Any]]:
        def meet(mine: Any) -> list[Any]:
            self.brought[rank] = mine
            self.barrier.wait(30)
            found = list(self.brought)
            self.barrier.wait(30)
            return found

        return meet


def loop(
    folder: Path, options: FullOptions = OPTIONS, kind: type[Full] = Full, **around: Any
) -> Loop:
    model, surroundings = toy_model(0), Surroundings(**around)
    checkpoints = Checkpoints(folder, "attempt")
    return Loop(model, toy_task(), kind(options, 0), checkpoints, surroundings)


def train(folder: Path, *args: Any, **around: Any) -> tuple[Outcome, TargetModel]:
    made = loop(folder, *args, **around)
    return made.run(TRAIN, VALIDATION), made.model


def in_ranks(world: int, folder: Path, validation: Part) -> tuple[list[Outcome], list[Recording]]:
    """Train in as many threads as ranks; each has its own model, as in processes."""
    meeting, outcomes, tasks = Meeting(world), {}, [Recording() for _ in range(world)]

    def work(rank: int) -> None:
        gather = meeting.gather(rank)
        around = Surroundings(rank, world, gather=gather, any_rank=lambda flag: any(gather(flag)))
        strategy = Full(OPTIONS.model_copy(update={"epochs": 1}), 0)
        made = Loop(toy_model(0), tasks[rank], strategy, Checkpoints(folder, "a"), around)
        outcomes[rank] = made.run(TRAIN, validation)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [outcomes[rank] for rank in range(world)], tasks


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    epochs: list[Any] = []
    outcome, _ = train(
        tmp_path, report=lambda kind, data: epochs.append(data) if kind == "epoch" else None
    )
    assert (outcome.state, outcome.epochs, len(epochs)) == ("finished", 4, 4)
    assert outcome.validation["accuracy"] > 0.9
    best = max((e["validation"] for e in epochs), key=lambda m: (m["accuracy"], -m["loss"]))
    assert outcome.validation == best


def test_best_weights_give_the_metrics_that_were_reported(tmp_path: Path) -> None:
    outcome, _ = train(tmp_path)
    made = loop(tmp_path / "other")
    Checkpoints(tmp_path, "read").load_best(made.model)
    again = Loop(
        made.model,
        toy_task(),
        Full(OPTIONS.model_copy(update={"learning_rate": 1e-30, "epochs": 1}), 0),
        made.checkpoints,
        Surroundings(),
    ).run(TRAIN, VALIDATION)
    assert again.validation == pytest.approx(outcome.validation)


def test_few_rows_are_passed_over_until_there_were_the_least_steps(tmp_path: Path) -> None:
    steps: list[Any] = []
    train(
        tmp_path,
        OPTIONS.model_copy(update={"epochs": 2, "least_steps": 40}),
        report=lambda kind, data: steps.append(data) if kind == "step" else None,
    )
    assert [step["steps"] for step in steps] == [20] * 40


def test_few_rows_make_small_batches() -> None:
    plan = TrainingPlan(batch_size=32, batch_share=0.25)
    sizes = [plan.batch(rows) for rows in (1, 3, 10, 16, 30, 64, 128, 1000)]
    assert sizes == [1, 3, 4, 4, 8, 16, 32, 32]
    assert TrainingPlan(batch_size=32).batch(30) == 30


def test_time_that_is_up_ends_with_the_best_so_far(tmp_path: Path) -> None:
    steps: list[int] = []
    outcome, _ = train(
        tmp_path,
        report=lambda kind, data: steps.append(kind == "step"),
        expired=lambda: sum(steps) == 12,
    )
    assert (outcome.state, outcome.epochs, sum(steps)) == ("expired", 2, 12)
    assert outcome.validation["accuracy"] > 0.4
    assert Checkpoints(tmp_path, "read").best() is not None


def test_time_that_is_up_before_the_first_step_leaves_no_model(tmp_path: Path) -> None:
    outcome, _ = train(tmp_path, expired=lambda: True)
    assert (outcome.state, outcome.epochs) == ("unstarted", 0)
    assert Checkpoints(tmp_path, "read").best() is None


def test_time_that_is_up_before_the_first_step_leaves_what_was_fitted(tmp_path: Path) -> None:
    made = loop(tmp_path, expired=lambda: True)
    outcome, model = made.run(TRAIN, VALIDATION, fitted=True), made.model
    assert (outcome.state, outcome.epochs) == ("expired", 0)
    assert outcome.validation["loss"] > 0
    assert Checkpoints(tmp_path, "read").load_best(model).epoch == -1
    whole, _ = train(tmp_path)
    assert (whole.state, whole.epochs) == ("finished", 4)


class Resting(Full):
    """The head alone learns in the first half."""

    def parameter_groups(self, model: TargetModel) -> list[ParameterGroup]:
        *lower, head = super().parameter_groups(model)
        return [*(replace(group, start=0.5) for group in lower), head]


def test_groups_rest_until_their_share_of_training_is_done(tmp_path: Path) -> None:
    made = loop(tmp_path, OPTIONS, Resting)
    before = toy_model(0).backbone.embeddings.weight
    moved: list[bool] = []
    made.around = Surroundings(
        report=lambda kind, _: (
            moved.append(not torch.equal(before, made.model.backbone.embeddings.weight))
            if kind == "step"
            else None
        )
    )
    made.run(TRAIN, VALIDATION)
    assert moved == [False] * 18 + [True] * 18


class Seeing(Full):
    """Notes what its loss sees of rows without labels."""

    unlabelled = "used"
    seen: ClassVar[list[Any]] = []

    def loss(self, step: Step) -> torch.Tensor:
        self.seen.append(step)
        return step.task_loss


def test_rows_without_labels_go_through_beside_the_others(tmp_path: Path) -> None:
    Seeing.seen.clear()
    made = loop(tmp_path, OPTIONS.model_copy(update={"epochs": 1}), Seeing)
    made.run(Part(TRAIN.rows, TRAIN.targets, VALIDATION.rows), VALIDATION)
    assert [len(step.targets) for step in Seeing.seen] == [8] * 9
    assert {tuple(step.unlabelled.logits.shape) for step in Seeing.seen} == {(8, 3)}
    assert {tuple(step.features.shape) for step in Seeing.seen} == {(8, 16)}


def test_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    (_, one), (_, two) = (train(tmp_path / name) for name in ("one", "two"))
    assert_same_weights(one, two)


def test_without_validation_rows_the_last_of_so_many_epochs_is_kept(tmp_path: Path) -> None:
    seen: list[Any] = []
    none = Part(VALIDATION.rows[:0], VALIDATION.targets[:0])
    made = loop(tmp_path, report=lambda kind, data: seen.append((kind, data)))
    outcome = made.run(TRAIN, none, 2)
    assert (outcome.state, outcome.epochs, outcome.validation) == ("finished", 2, {})
    assert [data["validation"] for kind, data in seen if kind == "epoch"] == [{}, {}]
    assert {data["epochs"] for kind, data in seen if kind == "step"} == {2}
    kept = toy_model(1)
    assert made.checkpoints.load_best(kept).epoch == 1
    for name, value in made.model.state_dict().items():
        assert torch.equal(value, kept.state_dict()[name]), name


class HeadAfterwards(Full):
    """Validation says nothing of its epochs: the head is fitted when they are through."""

    refits_head = True


def test_where_the_head_is_fitted_afterwards_the_last_epoch_is_kept(tmp_path: Path) -> None:
    made = loop(tmp_path, kind=HeadAfterwards)
    outcome = made.run(TRAIN, VALIDATION, 3)
    assert (outcome.state, outcome.epochs, outcome.validation) == ("finished", 3, {})
    assert made.checkpoints.load_best(toy_model(1)).epoch == 2


def test_it_stops_once_patience_is_at_an_end(tmp_path: Path) -> None:
    still = FullOptions(epochs=20, batch_size=24, learning_rate=1e-30, patience=2)
    outcome, _ = train(tmp_path, still)
    assert (outcome.state, outcome.epochs) == ("finished", 3)


def test_it_stops_between_steps_when_cancelled(tmp_path: Path) -> None:
    steps: list[int] = []
    outcome, _ = train(
        tmp_path,
        report=lambda kind, data: steps.append(data["step"]),
        cancelled=lambda: len(steps) == 3,
    )
    assert (outcome.state, outcome.epochs, steps) == ("cancelled", 0, [1, 2, 3])
    assert not (tmp_path / "manifest.json").exists()


class NotANumber(Full):
    def loss(self, step: Step) -> torch.Tensor:
        return step.logits.sum() * float("nan")


class TooFast(Full):
    def plan(self) -> TrainingPlan:
        return replace(super().plan(), learning_rate=1e30)


@pytest.mark.parametrize("kind", [NotANumber, TooFast])
def test_it_says_when_it_diverges(tmp_path: Path, kind: type[Full]) -> None:
    outcome, _ = train(tmp_path, OPTIONS, kind)
    assert outcome.state == "diverged"
    assert not (tmp_path / "manifest.json").exists()


def test_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    _, whole = train(tmp_path / "whole")
    steps: list[Any] = []
    first, _ = train(
        tmp_path / "parts",
        report=lambda kind, data: steps.append(data),
        cancelled=lambda: len(steps) == 24,
    )
    assert (first.state, first.epochs) == ("cancelled", 2)
    second, resumed = train(tmp_path / "parts")
    assert (second.state, second.epochs) == ("finished", 4)
    assert_same_weights(whole, resumed)


def test_run_that_is_resumed_after_its_end_trains_no_more(tmp_path: Path) -> None:
    before, _ = train(tmp_path)
    after, _ = train(tmp_path, report=lambda kind, data: pytest.fail("it trained"))
    assert after == before


def test_half_written_epoch_is_not_resumed_from(tmp_path: Path) -> None:
    train(tmp_path, OPTIONS.model_copy(update={"epochs": 2}))
    half = tmp_path / "attempt" / "epoch-2"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    made = loop(tmp_path)
    last = made.checkpoints.load(made.model, made.optimizer)
    assert last is not None
    assert last.epoch == 1
    made.run(TRAIN, VALIDATION)
    kept = {path.name for path in tmp_path.glob("*/epoch-*")}
    assert "epoch-3" in kept
    assert len(kept) <= 2


def test_two_ranks_see_each_row_once_between_them(tmp_path: Path) -> None:
    outcomes, tasks = in_ranks(2, tmp_path, VALIDATION)
    assert outcomes[0] == outcomes[1]
    everything = Counter([*TRAIN.rows, *VALIDATION.rows])
    assert Counter(tasks[0].seen) + Counter(tasks[1].seen) == everything
    assert len(tasks[0].seen) == len(tasks[1].seen)


def test_rows_weigh_alike_whichever_rank_has_them(tmp_path: Path) -> None:
    """Of nine rows one of two ranks has five, and the mean over ranks weighs these ranks alike."""
    shares = []
    for rank in range(2):
        whole = OPTIONS.model_copy(update={"batch_size": 9, "batch_share": 1.0})
        made = loop(tmp_path, whole, rank=rank, world=2)
        made.sizes = np.zeros(9)
        (chosen,) = made._batches(Part(TRAIN.rows[:9], TRAIN.targets[:9]), 0)
        shares.append((len(chosen.indices), chosen.share))
    assert shares == [(5, pytest.approx(10 / 9)), (4, pytest.approx(8 / 9))]


def test_rank_without_validation_rows_takes_part(tmp_path: Path) -> None:
    alone = Part(VALIDATION.rows[:1], VALIDATION.targets[:1])
    outcomes, _ = in_ranks(2, tmp_path, alone)
    assert [outcome.state for outcome in outcomes] == ["finished", "finished"]


def test_rates_rise_and_then_fall_to_nearly_nothing(tmp_path: Path) -> None:
    made = loop(tmp_path, OPTIONS.model_copy(update={"warmup": 0.25}))
    rates: list[float] = []
    made.around = Surroundings(
        report=lambda kind, _: (
            rates.append(made.optimizer.param_groups[0]["lr"]) if kind == "step" else None
        )
    )
    made.run(TRAIN, VALIDATION)
    assert len(rates) == 36
    assert np.argmax(rates) == 8
    assert max(rates) == pytest.approx(OPTIONS.learning_rate)
    assert np.all(np.diff(rates[:9]) > 0)
    assert np.all(np.diff(rates[9:]) < 0)
    assert rates[-1] < OPTIONS.learning_rate / 20


def assert_same_weights(one: TargetModel, two: TargetModel) -> None:
    other = two.state_dict()
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=1e-7, msg=name)


def test_batches_hold_rows_of_like_size_and_every_row_once() -> None:
    sizes = np.arange(100) % 50
    order = np.random.default_rng(0).permutation(100)
    batches = _alike(order, sizes, steps=20)
    assert sorted(np.concatenate(batches)) == list(range(100))
    spread = np.mean([np.ptp(sizes[batch]) for batch in batches])
    plain = np.mean([np.ptp(sizes[batch]) for batch in np.array_split(order, 20)])
    assert spread < plain / 3


def test_batches_of_few_rows_hold_no_row_twice() -> None:
    rng, sizes = np.random.default_rng(0), np.arange(22) % 11
    order = np.concatenate([rng.permutation(22) for _ in range(60)])
    for batch in _alike(order, sizes, steps=60):
        assert sorted(batch) == list(range(22))


def test_batches_of_several_passes_hold_few_rows_twice_and_cut_off_none_by_its_size() -> None:
    rng, sizes = np.random.default_rng(0), np.sort(np.random.default_rng(1).integers(1, 60, 100))
    order = np.concatenate([rng.permutation(100) for _ in range(4)])[: 10 * 32]
    batches = _alike(order, sizes, steps=10)
    assert sorted(np.concatenate(batches)) == sorted(order)
    assert np.mean([len(set(batch)) for batch in batches]) > 30
    spread = np.mean([np.ptp(sizes[batch]) for batch in batches])
    assert spread < np.mean([np.ptp(sizes[batch]) for batch in np.array_split(order, 10)]) / 1.5
