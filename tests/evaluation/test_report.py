"""The report: ours beside the baselines, on the same rows."""

import json

import numpy as np
import pytest

from regraft.contract import SourceModel, Task
from regraft.domain import DataSet, Examples
from regraft.evaluation.report import build_report, judge, majority_baseline, simple_baseline
from regraft_text.baseline import tfidf_logistic_regression
from regraft_text.classification import TextClassification


def examples(start: int, count: int) -> Examples:
    numbers = tuple(range(start, start + count))
    labels = tuple("bad" if number % 3 == 0 else "good" for number in numbers)
    texts = tuple(f"a {label} film {n}" for label, n in zip(labels, numbers, strict=True))
    return Examples(texts, labels, numbers)


@pytest.fixture
def data() -> DataSet:
    parts = examples(0, 60), examples(60, 15), examples(75, 30)
    return DataSet(*parts, labels=("bad", "good"), fingerprint="f", notes=("a note",))


@pytest.fixture
def task(minilm: SourceModel, data: DataSet) -> Task:
    return TextClassification(minilm.inputs, data.labels)


def test_majority_baseline_guesses_the_most_frequent_class(task: Task, data: DataSet) -> None:
    judged = majority_baseline(task, data)
    assert judged.metrics["accuracy"] == pytest.approx(20 / 30)
    np.testing.assert_allclose(judged.outputs[0], [21 / 62, 41 / 62])


def test_simple_baseline_learns_from_words(task: Task, data: DataSet) -> None:
    assert simple_baseline(task, data, seed=0).metrics["accuracy"] == 1.0


def test_a_label_of_which_there_are_no_rows_gets_no_share_of_the_simple_baseline(
    minilm: SourceModel, data: DataSet
) -> None:
    """As where the source model's own head knows more labels than the data has."""
    task = TextClassification(minilm.inputs, ("bad", "fair", "good"))
    judged = simple_baseline(task, data, seed=0)
    assert judged.outputs.shape == (30, 3)
    assert judged.outputs[:, 1].max() == 0
    assert judged.metrics["accuracy"] == 1.0


def test_simple_baseline_of_many_classes_keeps_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regraft_text.baseline.COEFFICIENTS", 4000)
    texts = [f"class {n % 100} number {n}" for n in range(300)]
    fitted = tfidf_logistic_regression(0).fit(texts, np.arange(300) % 100)
    regression = fitted.model_[-1]
    assert regression.coef_.size == 4000
    assert regression.max_iter == 150
    assert fitted.predict_proba(texts[:2]).shape == (2, 100)


def test_report_is_json_with_the_gain_over_the_simple_baseline(task: Task, data: DataSet) -> None:
    baselines = {
        "majority": majority_baseline(task, data),
        "simple": simple_baseline(task, data, 0),
    }
    targets = task.targets(data.test.labels)
    wrong = judge(task, np.eye(2)[1 - targets], targets)
    report = json.loads(json.dumps(build_report(task, data, wrong, baselines, 0, True)))
    high = report["gain"].pop("high")
    assert -0.9 < high < -0.5, "30 rows leave some doubt"
    assert report["gain"] == {
        "value": -1.0,
        "low": -1.0,
        "against": "simple",
        "metric": "accuracy",
    }
    assert report["rows"] == {"train": 60, "validation": 15, "test": 30}
    assert report["verdict"] == "negative"
    assert report["notes"] == [
        "a note",
        "on the test part it is 66.7 points worse than always the same answer, the likeliest",
        "on the test part it is 100.0 points worse than the simple baseline, which needs no "
        "source model",
    ]


def test_what_is_no_better_than_the_majority_is_no_positive_transfer(
    task: Task, data: DataSet
) -> None:
    """A simple baseline that learnt noise is worse than that."""
    majority, targets = majority_baseline(task, data), task.targets(data.test.labels)
    noise = judge(task, np.eye(2)[np.roll(targets, 1)], targets)
    assert noise.metrics["accuracy"] < majority.metrics["accuracy"]
    known = {"majority": majority, "simple": noise}
    report = build_report(task, data, majority, known, 0, True)
    assert report["gain"]["low"] > 0
    assert report["verdict"] == "inconclusive"
    assert report["gain_majority"]["value"] == 0
    assert "it is not surely better than always the same answer, the likeliest" in report["notes"]
    report = build_report(task, data, noise, {"majority": majority, "simple": noise}, 0, True)
    assert report["verdict"] == "negative"


def test_without_a_simple_baseline_nothing_is_a_positive_transfer(
    task: Task, data: DataSet
) -> None:
    ours = simple_baseline(task, data, 0)
    baselines = {"majority": majority_baseline(task, data), "simple": "it failed (ValueError: x)"}
    report = build_report(task, data, ours, baselines, 0, True)
    assert report["gain_majority"]["low"] > 0
    assert (report["verdict"], report["gain"]) == ("inconclusive", None)
    assert report["missing"] == {"simple": "it failed (ValueError: x)"}


def test_of_baselines_no_confusion_is_kept(task: Task, data: DataSet) -> None:
    ours = simple_baseline(task, data, 0)
    report = build_report(task, data, ours, {"majority": ours, "simple": ours}, 0, True)
    assert report["baselines"]["simple"].keys() == report["metrics"].keys() - {"confusion"}
    assert "confusion" in report["metrics"]


def test_baseline_that_is_missing_is_null_with_its_reason(task: Task, data: DataSet) -> None:
    ours = simple_baseline(task, data, 0)
    baselines = {"majority": ours, "simple": ours, "scratch": "no time"}
    report = build_report(task, data, ours, baselines, 0, True)
    assert report["baselines"]["scratch"] is None
    assert report["missing"] == {"scratch": "no time"}
    assert report["gain_scratch"] is None
    assert report["verdict"] == "inconclusive"
