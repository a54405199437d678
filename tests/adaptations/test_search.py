"""`--strategy auto`: which strategies are tried, and which of them is taken."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regraft.adaptations import search
from regraft.adaptations.candidates import candidates
from regraft.adaptations.judging import evaluate
from regraft.adaptations.queries import show_version
from regraft.adaptations.request import check_request, parse_spec
from regraft.adaptations.run import run
from regraft.adaptations.search import MANY, Scored, choose, margin
from regraft.adaptations.work import Work
from regraft.contract import TextInputs
from regraft.domain import DataSet, Examples
from regraft.errors import CancelledRunError, InvalidInputError, RunFailedError
from regraft.evaluation.calibration import calibrated_losses
from regraft.plugins import Plugins
from regraft.training.search import LOSS, PLAIN, SCORE, SECONDS, _result
from regraft_text.classification import TextClassification
from regraft_transfer.full import Full
from regraft_transfer.linear_probe import LinearProbe

PROBE, FULL = (kind(kind.Options(), 0) for kind in (LinearProbe, Full))


def rows(count: int) -> Examples:
    labels = tuple("ab"[n % 2] for n in range(count))
    return Examples(tuple(f"row {n}" for n in range(count)), labels, tuple(range(count)))


def data(count: int, **more: Any) -> DataSet:
    return DataSet(rows(count), rows(4), rows(4), ("a", "b"), "f", **more)


def names(plugins: Plugins, found: DataSet, **spec: Any) -> list[str]:
    given = {"name": "m", "data": "d.csv", "source": "minilm-l6", "strategy": "auto", **spec}
    request = check_request(parse_spec(given), plugins)
    return [one.name for one in candidates(request, found, plugins)]


@pytest.mark.parametrize("count", [16, 900])
def test_two_ways_to_train_are_tried_beside_the_probe(plugins: Plugins, count: int) -> None:
    assert names(plugins, data(count)) == ["lp-ft", "lora", "linear-probe"]


def test_graph_has_closed_forms_alone(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, minilm: Any
) -> None:
    monkeypatch.setattr(type(minilm), "trainable", False)
    assert names(plugins, data(900)) == ["linear-probe"]


def test_rows_of_two_domains_add_strategies_across_them(plugins: Plugins) -> None:
    both = data(100, unlabelled=rows(3), source=rows(3))
    assert {"mcc", "pseudo-label"} <= set(names(plugins, both))


def test_options_belong_to_one_strategy(plugins: Plugins) -> None:
    with pytest.raises(InvalidInputError, match="--strategy auto tries several"):
        names(plugins, data(10), options={"epochs": 1})


def test_least_loss_is_taken() -> None:
    probe, full = Scored(PROBE, 0.9, 0.5, 1.0), Scored(FULL, 0.85, 0.4, 9.0)
    assert choose([probe, full]) is full
    assert choose([full, Scored(PROBE, 0.9, 0.3, 1.0)]).strategy is PROBE
    assert choose([Scored(PROBE, 0.9, float("nan"), 1.0), full]) is full


def test_a_head_alone_must_be_better_for_sure_where_labels_are_many() -> None:
    full = Scored(FULL, 0.85, 0.4, 9.0)
    assert choose([Scored(PROBE, 0.9, 0.35, 1.0, margin=0.1), full]) is full
    assert choose([Scored(PROBE, 0.9, 0.25, 1.0, margin=0.1), full]).strategy is PROBE


@pytest.mark.parametrize(("rows", "many"), [(2 * MANY - 2, False), (2 * MANY, True)])
def test_how_sure_is_the_standard_error_of_the_loss(rows: int, many: bool) -> None:
    task = TextClassification(TextInputs((), b"", 8), ["a", "b"])
    outputs, targets = np.array([[0.9, 0.1], [0.4, 0.6]] * 8), np.array([0, 1] * 8)
    losses = calibrated_losses(outputs, targets)
    assert losses[0] < losses[1]
    assert margin(task, rows, outputs, targets) == pytest.approx(losses.std() / 4 if many else 0)


def test_one_that_failed_is_passed_over_and_all_that_failed_are_told() -> None:
    failed = Scored(PROBE, None, None, 0.0, reason="it burst")
    full = Scored(FULL, 0.4, 1.0, 2.0)
    assert choose([failed, full]) is full
    with pytest.raises(RunFailedError, match="linear-probe: it burst"):
        choose([failed])


def test_the_loss_that_is_compared_is_that_of_the_epoch_that_the_loop_keeps() -> None:
    """Of epochs that are right as often it keeps that of the least plain loss."""
    told = {SCORE: [0.75, 0.81, 0.81], PLAIN: [0.6, 0.55, 0.94], LOSS: [0.5, 0.51, 0.42]}
    frame = pd.DataFrame({**told, SECONDS: [1.0, 2.0, 3.0]})
    ended = SimpleNamespace(config={"name": "lora"}, metrics_dataframe=frame, error=None)
    found = _result(ended)
    assert (found.score, found.loss, found.seconds, found.epochs) == (0.81, 0.51, 3.0, 3)


def test_a_trial_reads_rows_as_its_adaptation_does(
    begun: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of fewer rows the columns of a table would be other ones."""
    path = tmp_path / "table.csv"
    lines = [f"{n % 17},{n * n},{'ab'[n % 2]}" for n in range(120)]
    path.write_text("\n".join(["one,other,label", *lines]))
    asked = {"task": "tabular-classification", "source": "plain-table", "strategy": "full"}
    work = begun(data=str(path), label_column="label", **asked)
    less = replace(work.data, train=work.data.train.take(range(20)))
    seen: list[Work] = []

    def training(directory: Path, work: Work, *rest: Any) -> None:
        seen.append(work)
        raise CancelledRunError("enough was seen")

    monkeypatch.setattr("ray.get", lambda parcel: parcel)
    monkeypatch.setattr(search, "train_in", training)
    known, feature = (work.task.inputs, work.task.labels), work.request.candidates[0].name
    context = work.context
    given = (context.adaptation, work.request.spec, less, *known, context.settings, feature)
    search._trial(search.Parcel(*given, tmp_path, None), "full", lambda *told: None)
    rows = work.data.test.inputs
    expected, found = work.task.encode(rows), seen[0].task.encode(rows)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert len(seen[0].data.train) == 20


@pytest.mark.usefixtures("without_ray")
def test_what_was_trained_is_there_until_the_run_has_ended(
    submit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes the run up after a crash goes on from it."""
    context, left = submit(strategy="full", options={"epochs": 1, "least_steps": 4}), []
    folder = context.registry.home.run(context.adaptation.id)

    def evaluated(*given: Any) -> Any:
        found = evaluate(*given)
        left.extend(folder.rglob("*.safetensors"))
        return found

    monkeypatch.setattr("regraft.adaptations.run.evaluate", evaluated)
    run(context)
    assert left
    assert not folder.exists()


def test_best_source_of_the_catalogue_is_taken_and_the_ranking_reported(
    submit: Any, reviews: Path, registry: Any
) -> None:
    result = run(submit(source="auto")).result
    assert result is not None
    assert result["source"] == "minilm-l6"
    report = show_version(registry, "reviews", None)["report"]
    assert report["ranking"]["ranking"][0]["source"] == "minilm-l6"
