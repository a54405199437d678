"""What a strategy begins with is trained first; a trial asks the result without an export."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regraft.adaptations.request import check_request
from regraft.adaptations.run import load_data
from regraft.adaptations.training import here, train
from regraft.adaptations.trial import try_out
from regraft.adaptations.work import Work, begin
from regraft.plugins import Plugins

FEW = {"epochs": 1, "least_steps": 4}


@pytest.fixture
def begun(submit: Any, plugins: Plugins) -> Any:
    """The work of a spec, as it is before anything is learnt."""

    def make(**spec: Any) -> Work:
        context = submit(**spec)
        request = check_request(context.adaptation.spec, plugins)
        data = load_data(context, request.spec)
        return begin(request, data, context)

    return make


def test_strategy_that_begins_with_another_trains_that_first(begun: Any) -> None:
    work = begun(strategy="distillation", options=FEW)
    trained = train(work, work.request.strategy, work.request.candidates[0], here)
    assert trained.recipe.before is not None
    assert (trained.recipe.strategy, trained.recipe.before.strategy) == ("distillation", "lp-ft")
    assert trained.recipe.before.head is not None, "which begins with a linear probe"
    assert not work.context.registry.home.run(work.context.adaptation.id).exists()


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
