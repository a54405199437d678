"""What a strategy begins with is trained first; a trial asks the result without an export."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regraft.adaptations.judging import learning_curve
from regraft.adaptations.refit import refit
from regraft.adaptations.training import Limits, Trained, here, train, train_in
from regraft.adaptations.trial import answers, head_of_trained, try_out
from regraft.adaptations.work import Work
from regraft.domain import DataSet
from regraft.errors import CancelledRunError, NoTimeError
from regraft.training.clock import Clock

FEW = {"epochs": 1, "least_steps": 4}
MANY = {"epochs": 90, "patience": 90}
ONE_OF_EACH_KIND = ["contrastive", "full", "layer-drop", "mcc"]


def test_strategy_that_begins_with_another_trains_that_first(begun: Any) -> None:
    work = begun(strategy="distillation", options=FEW)
    trained = train(work, work.request.strategy, work.request.candidates[0], here)
    assert trained.recipe.before is not None
    assert (trained.recipe.strategy, trained.recipe.before.strategy) == ("distillation", "lp-ft")
    assert trained.recipe.before.head is not None, "which begins with a linear probe"
    left = work.context.registry.home.run(work.context.adaptation.id)
    assert not any(left.rglob("*.safetensors"))


@pytest.mark.parametrize("strategy", ["linear-probe", "contrastive"])
def test_trial_answers_with_probabilities(begun: Any, strategy: str) -> None:
    options = FEW if strategy == "contrastive" else {}
    work = begun(strategy=strategy, options=options)
    trial = try_out(work, work.request.candidates[0], {"test": work.data.test})
    outputs = trial.outputs["test"]
    assert outputs.shape == (len(work.data.test), 2)
    assert outputs.sum(1) == pytest.approx(1, abs=1e-5)
    assert trial.learnt <= trial.parameters


def test_rows_without_labels_go_to_training(begun: Any, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("text\nthe plot was thin\nthe cast was fine\n")
    work = begun(strategy="mcc", unlabelled=str(tmp_path / "more.csv"), options=FEW)
    assert sorted(work.parts()["train"][2]) == ["the cast was fine", "the plot was thin"]
    without = replace(work, data=replace(work.data, unlabelled=None))
    assert without.parts()["train"][2] == ()


def test_ingredients_that_there_was_time_for_are_mixed(begun: Any) -> None:
    work = begun(strategy="soup", options={**FEW, "rates": [1, 2, 3]})
    spent = iter([False, True, False])

    def run(*given: Any) -> Trained:
        if next(spent):
            raise NoTimeError("The budget was spent.")
        return here(*given)

    trained = train(work, work.request.strategy, work.request.candidates[0], run)
    assert trained.epochs == 1
    assert list(spent) == []


def test_a_budget_for_no_ingredient_is_told(begun: Any) -> None:
    work = begun(strategy="soup", options=FEW)

    def run(*given: Any) -> Trained:
        raise NoTimeError("The budget was spent.")

    with pytest.raises(NoTimeError):
        train(work, work.request.strategy, work.request.candidates[0], run)


def test_a_budget_spent_by_the_probe_leaves_the_probe(begun: Any) -> None:
    work = begun(strategy="lp-ft", options=FEW)
    spent = Limits(deadline=time.time() - 1)
    trained = train(work, work.request.strategy, work.request.candidates[0], here, spent)
    assert trained.epochs == 0
    assert trained.metrics["accuracy"] > 0
    again = refit(work, work.request.candidates[0], trained, here, Path("nowhere"))
    assert again is trained


def test_strategy_with_ingredients_trains_each_and_mixes_them(begun: Any) -> None:
    told: list[str] = []
    work = begun(strategy="soup", options={**FEW, "rates": [1, 2]})
    run = partial(here, report=lambda kind, data: told.append(kind))
    trained = train(work, work.request.strategy, work.request.candidates[0], run)
    assert told.count("epoch") == 2
    assert trained.recipe.strategy == "lp-ft"
    outputs = answers(work, trained, head_of_trained(work, trained), work.data.test)
    assert outputs.shape == (len(work.data.test), 2)


@pytest.fixture
def lasting(begun: Any, tmp_path: Path) -> Any:
    """The work of a strategy that would train for a long time."""

    def make(strategy: str, **context: Any) -> Work:
        other = tmp_path / "other.csv"
        other.write_text("text\n" + "".join(f"the cast was number {n}\n" for n in range(20)))
        across = {"unlabelled": str(other)} if strategy == "mcc" else {}
        return begun(context=context, strategy=strategy, options=MANY, **across)

    return make


@pytest.mark.parametrize("strategy", ONE_OF_EACH_KIND)
def test_a_spent_budget_leaves_the_best_so_far(
    lasting: Any, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Clock, "expired", lambda clock: told.count("step") >= 9)
    work = lasting(strategy)
    run = partial(here, report=lambda kind, data: told.append(kind))
    trained = train(work, work.request.strategy, work.request.candidates[0], run)
    assert told.count("step") == 9
    outputs = answers(work, trained, head_of_trained(work, trained), work.data.test)
    assert outputs.sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("strategy", ONE_OF_EACH_KIND)
def test_a_cancelled_training_ends_between_two_steps(lasting: Any, strategy: str) -> None:
    steps = 0

    def heard(kind: str, data: dict[str, Any]) -> None:
        nonlocal steps
        steps += kind == "step"

    work = lasting(strategy, stop=lambda: steps == 5)
    run = partial(here, report=heard)
    with pytest.raises(CancelledRunError):
        train(work, work.request.strategy, work.request.candidates[0], run)
    assert steps == 5


def test_what_a_training_of_other_rows_has_left_is_no_beginning(begun: Any, tmp_path: Path) -> None:
    """As where a run is killed in the middle of its learning curve, and begins again."""
    work = begun(strategy="full", options=FEW)
    less = replace(work.data, train=work.data.train.take(range(12)))
    what = (work.request.strategy, work.request.candidates[0])

    def steps(data: DataSet) -> int:
        told: list[str] = []
        run = partial(here, report=lambda kind, _: told.append(kind))
        train_in(tmp_path, replace(work, data=data), what, run, Limits())
        return told.count("step")

    assert steps(less) > 0
    assert steps(work.data) > 0
    assert steps(work.data) == 0, "the same rows go on where they were"


def test_a_learning_curve_says_for_what_there_was_no_time(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regraft.adaptations.judging.on_ray", here)
    work = begun(strategy="full", options=FEW, learning_curve=True, budget=1e-6)
    learnt: Any = SimpleNamespace(feature=work.request.candidates[0])
    found = learning_curve(work, learnt)
    why = "training would take longer than the time that it was given"
    assert [(one["primary"], one["reason"]) for one in found] == [(None, why)] * 2
    work = begun(strategy="full", options=FEW, learning_curve=True)
    assert all(one["primary"] > 0 for one in learning_curve(work, learnt))
