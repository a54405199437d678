"""What `auto` takes learns once more, from the validation part too."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.adaptations import search
from regraft.adaptations.candidate import finish
from regraft.adaptations.learning import learn_frozen
from regraft.adaptations.refit import refit
from regraft.adaptations.training import Limits, Trained, here, train_in
from regraft.adaptations.work import Work
from regraft.errors import CancelledRunError, RunFailedError
from regraft.evaluation.calibration import fit_temperature

FEW = {"epochs": 2, "least_steps": 4}


@pytest.fixture
def work(begun: Any) -> Work:
    work: Work = begun(strategy="lp-ft", options=FEW)
    return work


def trained_by(work: Work, folder: Path) -> Trained:
    what = (work.request.strategy, work.request.candidates[0])
    return train_in(folder, work, what, here, Limits())


def again(work: Work, trained: Trained, folder: Path, run: Any = here) -> Trained:
    return refit(work, work.request.candidates[0], trained, run, folder)


def test_it_is_the_mean_of_a_model_of_the_training_rows_and_one_of_all(
    work: Work, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, Limits]] = []

    def run(one: Work, made: Any, folder: Path, limits: Limits) -> Trained:
        seen.append((len(one.data.train), len(one.data.validation), limits))
        return here(one, made, folder, limits)

    trained = replace(trained_by(work, tmp_path / "first"), epochs=1)
    final = again(work, trained, tmp_path / "all", run)
    (rows, held_out, limits), data = seen[0], work.data
    assert (rows, held_out) == (len(data.train) + len(data.validation), 0)
    assert (limits.epochs, limits.whole) == (1, True)
    whole = replace(work, data=replace(data, train=data.labelled, validation=data.test.take([])))
    what = (work.request.strategy, work.request.candidates[0])
    other = train_in(tmp_path / "by hand", whole, what, here, Limits(epochs=1))
    pairs = zip(
        trained.model.parameters(), other.model.parameters(), final.model.parameters(), strict=True
    )
    moved = 0.0
    for first, second, mean in pairs:
        assert torch.allclose((first + second) / 2, mean, atol=1e-7)
        moved = max(moved, (first - second).abs().max().item())
    assert moved > 1e-3


def test_where_it_fails_the_trials_model_is_taken(work: Work, tmp_path: Path) -> None:
    def fails(*args: Any) -> Trained:
        raise RunFailedError("diverged")

    trained = trained_by(work, tmp_path / "first")
    assert again(work, trained, tmp_path / "all", fails) is trained


def test_where_the_budget_is_spent_the_trials_model_is_taken(begun: Any, tmp_path: Path) -> None:
    work = begun(strategy="lp-ft", options=FEW, budget=1e-3)
    trained = trained_by(work, tmp_path / "first")
    assert again(work, trained, tmp_path / "all") is trained


def test_a_cancelled_run_ends(begun: Any, tmp_path: Path) -> None:
    asked = {"stop": False}
    work = begun(strategy="lp-ft", options=FEW, context={"stop": lambda: asked["stop"]})
    trained = trained_by(work, tmp_path / "first")
    asked["stop"] = True
    with pytest.raises(CancelledRunError):
        again(work, trained, tmp_path / "all")


def test_models_that_validation_mixed_are_left_alone(begun: Any, tmp_path: Path) -> None:
    work = begun(strategy="soup", options=FEW)
    trained: Any = object()
    refused = partial(pytest.fail, "nothing is to be trained")
    assert again(work, trained, tmp_path, refused) is trained


def test_no_task_is_asked_for_the_targets_of_no_rows(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = begun(strategy="full")
    targets = work.task.targets

    def asked(labels: Any) -> Any:
        assert len(labels), "as speech recognition and segmentation cannot be"
        return targets(labels)

    monkeypatch.setattr(work.task, "targets", asked)
    none = replace(work, data=replace(work.data, validation=work.data.validation.take([])))
    assert [len(part) for part in none.parts()["validation"]] == [0, 0]


def test_confidence_is_corrected_by_what_had_not_seen_the_validation_part(begun: Any) -> None:
    work = begun(strategy="linear-probe")
    targets = work.task.targets(work.data.validation.labels)
    unsure = np.full((len(targets), 2), 0.45, np.float32)
    unsure[np.arange(len(targets)), targets] = 0.55
    expected = fit_temperature(unsure, targets)
    learnt = learn_frozen(work)
    before, after = (
        finish(work, one).calibration for one in (learnt, replace(learnt, fair=unsure))
    )
    assert before is not None
    assert after is not None
    assert after["temperature"] == pytest.approx(expected)
    assert before["temperature"] != pytest.approx(expected)


def test_a_trial_that_was_through_before_its_process_died_tells_its_best_again(
    begun: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.get", lambda parcel: parcel)
    work = begun(strategy="auto")
    context = work.context
    parcel = search.Parcel(
        context.adaptation,
        work.request.spec,
        work.data,
        context.settings,
        work.request.candidates[0].name,
        tmp_path,
        None,
    )
    first: list[Any] = []
    search._trial(parcel, "last-k", lambda *metrics: first.append(metrics))
    second: list[Any] = []
    search._trial(parcel, "last-k", lambda *metrics: second.append(metrics))
    assert len(first) > 1
    assert second == [max(first, key=lambda metrics: (metrics[0], -metrics[1]))]
