"""Transcripts: collapsing, comparing, their likelihood, and the task."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regraft.contract import AudioInputs, Feature, TensorSpec
from regraft_speech.recognition import SpeechRecognition
from regraft_speech.transcripts import collapse, ctc_loss, edit_distance, one_hot

INPUTS = AudioInputs(
    (
        TensorSpec("samples", "FP32", ("batch", "length")),
        TensorSpec("lengths", "INT64", ("batch",)),
    ),
    16_000,
    0.1,
    30.0,
)
TEXTS = ["to be or not", "be", "or not to be"]
TASK = SpeechRecognition(INPUTS, SpeechRecognition.labels_of(TEXTS))


def test_repetitions_and_blanks_are_left_out() -> None:
    assert collapse(np.array([0, 1, 1, 0, 1, 2, 2, 0])) == [1, 1, 2]
    assert collapse(np.array([3])) == [3]
    assert collapse(np.zeros(5, int)) == []


@given(a=st.lists(st.integers(0, 2), max_size=5), b=st.lists(st.integers(0, 2), max_size=5))
def test_distance_is_the_least_number_of_changes(a: list[int], b: list[int]) -> None:
    def slow(x: list[int], y: list[int]) -> int:
        if not x or not y:
            return len(x) + len(y)
        same = slow(x[1:], y[1:]) + (x[0] != y[0])
        return min(same, slow(x[1:], y) + 1, slow(x, y[1:]) + 1)

    assert edit_distance(a, b) == slow(a, b)


def test_loss_is_that_of_torch_and_blind_to_padding() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.dirichlet(np.ones(6), (3, 9)).astype(np.float32)
    targets = np.array([[1, 2, 2, -1], [5, -1, -1, -1], [3, 1, 4, 1]])
    lengths = (targets >= 0).sum(1)
    expected = torch.nn.functional.ctc_loss(
        torch.from_numpy(outputs).log().transpose(0, 1),
        torch.from_numpy(targets).clamp(0),
        torch.full((3,), 9),
        torch.from_numpy(lengths),
        reduction="none",
    ).numpy()
    assert ctc_loss(outputs, targets) == pytest.approx((expected / lengths).mean(), rel=1e-4)
    padded = np.pad(outputs, ((0, 0), (0, 4), (0, 0)))
    assert ctc_loss(padded, targets) == pytest.approx(ctc_loss(outputs, targets), rel=1e-6)


def test_certain_outputs_say_the_text_and_have_no_loss() -> None:
    targets = TASK.targets(TEXTS)
    outputs = one_hot(targets, 1 + len(TASK.labels))
    assert TASK.texts(outputs) == TEXTS
    found = TASK.metrics(outputs, targets)
    assert (found["wer"], found["cer"], found["exact"]) == (0, 0, 1)
    assert found["loss"] == pytest.approx(0, abs=1e-6)


def test_error_rates_are_over_all_words() -> None:
    said = ["to be or nob", "", "or not to be"]
    outputs = one_hot(TASK.targets(said), 1 + len(TASK.labels))
    targets = TASK.targets(TEXTS)
    found = TASK.metrics(outputs, targets)
    assert found["wer"] == pytest.approx(2 / 9)
    assert found["cer"] == pytest.approx(3 / 26)
    assert TASK.scores(outputs, targets).mean() == pytest.approx(found["word_accuracy"])


def test_character_that_training_did_not_have_is_an_error() -> None:
    targets = TASK.targets(["zebra"])
    outputs = one_hot(targets, 1 + len(TASK.labels))
    assert TASK.metrics(outputs, targets)["wer"] == 1


def test_padding_is_blank_for_the_head_and_costs_the_loss_nothing() -> None:
    torch.manual_seed(0)
    head = TASK.head(Feature("steps", "sequence", 8))
    steps, targets = torch.randn(2, 30, 8), torch.from_numpy(TASK.targets(TEXTS[:2]))
    longer = torch.nn.functional.pad(steps, (0, 0, 0, 7))
    with torch.no_grad():
        one, two = (TASK.loss(head(x), targets) for x in (steps, longer))
        said = TASK.activate(head(longer)).numpy()
    assert torch.allclose(one, two, atol=1e-5)
    assert (said[:, 30:].argmax(-1) == 0).all()


def test_answers_are_texts_and_how_sure_they_are() -> None:
    outputs = one_hot(TASK.targets(TEXTS), 1 + len(TASK.labels)) * 0.75
    answers = TASK.answers(TASK.decode(outputs))
    assert answers[1] == {"text": "be", "score": 0.75}
    silent: Any = np.zeros((1, 4, 1 + len(TASK.labels)), np.float32)
    assert TASK.answers(TASK.decode(silent)) == [{"text": "", "score": 0.0}]


def test_most_frequent_transcript_is_the_simplest_guess() -> None:
    targets = TASK.targets([*TEXTS, "be"])
    assert TASK.texts(TASK.majority(targets, 3)) == ["be"] * 3
    for a, b in itertools.pairwise(TASK.majority(targets, 3)):
        assert np.array_equal(a, b)


def test_silence_is_a_better_guess_than_words_that_nobody_else_said() -> None:
    """Else a model that says nothing would be better than the likeliest answer."""
    targets = TASK.targets(["to be or not", "be", "or", "not"])
    assert TASK.texts(TASK.majority(targets, 2)) == ["", ""]
