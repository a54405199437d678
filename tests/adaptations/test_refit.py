"""What `auto` takes learns once more, from the validation part too."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.adaptations import search
from regraft.adaptations.candidate import finish
from regraft.adaptations.learning import learn_frozen
from regraft.adaptations.refit import _exchanged, refit
from regraft.adaptations.training import Limits, Trained, here, train_in
from regraft.adaptations.work import Work
from regraft.domain import DataSet
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


@dataclass
class Seen:
    """What a training was given, and the weights that came of it."""

    data: DataSet
    limits: Limits
    weights: list[torch.Tensor]


def weights(trained: Trained) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in trained.model.parameters()]


def watched(seen: list[Seen]) -> Any:
    def run(one: Work, made: Any, folder: Path, limits: Limits) -> Trained:
        trained = here(one, made, folder, limits)
        seen.append(Seen(one.data, limits, weights(trained)))
        return trained

    return run


@pytest.mark.parametrize(("few", "models"), [(0, 2), (1000, 3)])
def test_it_is_the_mean_of_a_model_of_the_training_rows_and_those_of_others(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, models: int
) -> None:
    monkeypatch.setattr("regraft.adaptations.refit.FEW", few)
    seen: list[Seen] = []
    trained = replace(trained_by(work, tmp_path / "first"), epochs=1)
    first = weights(trained)
    final = again(work, trained, tmp_path / "again", watched(seen))
    assert 1 + len(seen) == models
    each = zip(first, *(one.weights for one in seen), strict=True)
    for mean, parts in zip(weights(final), each, strict=True):
        assert torch.allclose(torch.stack(parts).mean(0), mean, atol=1e-6)
    moved = (one - other for one, other in zip(first, seen[0].weights, strict=True))
    assert max(difference.abs().max().item() for difference in moved) > 1e-3


def test_the_first_learns_from_all_rows_and_another_is_judged_by_others(
    work: Work, tmp_path: Path
) -> None:
    seen: list[Seen] = []
    trained = replace(trained_by(work, tmp_path / "first"), epochs=1)
    again(work, trained, tmp_path / "again", watched(seen))
    data, (whole, others) = work.data, seen
    rows = {*data.labelled.identities}
    assert {*whole.data.train.identities} == rows
    assert len(whole.data.validation) == 0
    assert (whole.limits.epochs, others.limits.epochs) == (1, 2)
    assert whole.limits.whole
    judges = {*others.data.validation.identities}
    assert len(judges) == len(data.validation)
    assert not judges & {*data.validation.identities}
    assert {*others.data.train.identities} == rows - judges
    assert {*others.data.validation.labels} == {*data.labels}


def test_rows_of_another_domain_judge_nothing(work: Work) -> None:
    lent = replace(work.data, borrowed=3)
    assert _exchanged(lent, 0) is None
    assert _exchanged(work.data, 0) is not None


def test_rows_without_classes_change_places_too(work: Work) -> None:
    """As those of speech recognition, each with a text of its own."""
    texts = tuple(f"said {n}" for n in range(len(work.data.train)))
    spoken = replace(work.data, train=replace(work.data.train, labels=texts), labels=("a", "b"))
    other = _exchanged(spoken, 0)
    assert other is not None
    assert len(other.validation) == len(spoken.validation)


def test_there_is_no_second_training_that_could_not_end_in_time(begun: Any, tmp_path: Path) -> None:
    work = begun(strategy="lp-ft", options=FEW, budget=300)
    trained = trained_by(work, tmp_path / "first")
    feature, refused = work.request.candidates[0], partial(pytest.fail, "there is no time")
    assert refit(work, feature, trained, refused, tmp_path / "again", 400.0) is trained


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
        work.task.inputs,
        work.task.labels,
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
