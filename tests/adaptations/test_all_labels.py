"""A closed form takes the labels of the validation part too, once that part has told its word."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from regraft.adaptations.learning import learn_frozen, say, with_all_labels
from regraft.adaptations.training import here, train
from regraft.adaptations.trial import answers, head_of_trained, try_out
from regraft.adaptations.work import fitted, frozen_features


def test_a_closed_form_is_fitted_on_both_parts(begun: Any) -> None:
    work = begun(strategy="linear-probe")
    first = learn_frozen(work)
    final = with_all_labels(work, first)
    whole = replace(work, data=replace(work.data, train=work.data.labelled))
    features = frozen_features(work, first.feature, work.data.labelled)
    expected = fitted(whole, work.request.strategy, features)
    assert len(features) == len(work.data.train) + len(work.data.validation)
    assert final.head.weight == pytest.approx(expected.weight, abs=1e-5)
    assert np.abs(final.head.weight - first.head.weight).max() > 1e-3


def test_a_trial_answers_the_validation_part_by_what_has_not_seen_it(begun: Any) -> None:
    work = begun(strategy="linear-probe")
    first = learn_frozen(work)
    final = with_all_labels(work, first)
    parts = {"validation": work.data.validation, "test": work.data.test}
    outputs = try_out(work, first.feature, parts).outputs
    for name, learnt in (("validation", first), ("test", final)):
        expected = say(learnt.head, learnt.features(work, parts[name]))
        assert outputs[name] == pytest.approx(expected, abs=1e-6), name


def test_a_head_that_is_refitted_to_a_trained_backbone_is_fitted_on_both_parts_too(
    begun: Any,
) -> None:
    work = begun(strategy="contrastive")
    frozen = learn_frozen(begun(strategy="linear-probe"))
    assert with_all_labels(work, frozen).head.weight == pytest.approx(
        with_all_labels(begun(strategy="linear-probe"), frozen).head.weight, abs=1e-5
    )
    trained = train(work, work.request.strategy, frozen.feature, here)
    head = head_of_trained(work, trained)
    parts = {"validation": work.data.validation, "test": work.data.test}
    outputs = try_out(work, frozen.feature, parts).outputs
    one, other = (answers(work, trained, head, part) for part in parts.values())
    assert outputs["validation"] == pytest.approx(one, abs=1e-4)
    assert np.abs(outputs["test"] - other).max() > 1e-3


def test_what_changes_the_backbone_is_left_alone(begun: Any) -> None:
    frozen = learn_frozen(begun(strategy="linear-probe"))
    assert with_all_labels(begun(strategy="full"), frozen) is frozen


def test_the_source_models_own_head_is_left_alone(begun: Any) -> None:
    work = begun(strategy="linear-probe")
    own = replace(work, request=replace(work.request, own=object()))
    frozen = learn_frozen(work)
    assert with_all_labels(own, frozen) is frozen
