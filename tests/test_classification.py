"""Classification metrics, against those of scikit-learn, and answers."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from regraft.classification import Classification
from regraft.contract import TextInputs
from regraft_text.classification import TextClassification


def task(classes: int) -> Classification:
    return TextClassification(TextInputs((), b"", 8), [f"c{n}" for n in range(classes)])


@st.composite
def judged(draw: st.DrawFn) -> tuple[int, Any, Any]:
    """Classes, probabilities [B, C] and targets [B], not every class among them."""
    classes, rows = draw(st.integers(2, 6)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    outputs = rng.dirichlet(np.ones(classes), rows)
    return classes, outputs, rng.integers(0, classes, rows)


@given(case=judged())
def test_figures_are_those_of_scikit_learn(case: tuple[int, Any, Any]) -> None:
    classes, outputs, targets = case
    found, predicted, every = (
        task(classes).metrics(outputs, targets),
        outputs.argmax(1),
        range(classes),
    )
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(targets, predicted))
    macro = reference.f1_score(targets, predicted, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(macro)
    assert found["loss"] == pytest.approx(reference.log_loss(targets, outputs, labels=every))
    confusion = reference.confusion_matrix(targets, predicted, labels=every)
    assert found["confusion"] == confusion.tolist()


@given(case=judged())
def test_class_scores_are_those_of_scikit_learn(case: tuple[int, Any, Any]) -> None:
    classes, outputs, targets = case
    found = task(classes).metrics(outputs, targets)["per_class"]
    expected = reference.precision_recall_fscore_support(
        targets, outputs.argmax(1), labels=range(classes), zero_division=0
    )
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [row[name] for row in found] == pytest.approx(list(values))


def test_loss_stays_finite_when_the_truth_got_no_probability() -> None:
    found = task(2).metrics(np.array([[1.0, 0.0]]), np.array([1]))
    assert found["loss"] == pytest.approx(-np.log(1e-12))


def test_majority_gives_no_class_a_zero() -> None:
    guess = task(3).majority(np.array([0, 0, 0, 1]), rows=2)
    np.testing.assert_allclose(guess, [[4 / 7, 2 / 7, 1 / 7]] * 2)


def test_answers_name_the_best_label_and_all_probabilities() -> None:
    made = task(2)
    outputs = np.array([[0.25, 0.75], [1, 0]], np.float32)
    assert made.answers(made.decode(outputs)) == [
        {"label": "c1", "score": 0.75, "probabilities": {"c0": 0.25, "c1": 0.75}},
        {"label": "c0", "score": 1.0, "probabilities": {"c0": 1.0, "c1": 0.0}},
    ]
