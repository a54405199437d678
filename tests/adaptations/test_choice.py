"""Where the backbone ends is a feature that the strategy can do with."""

from dataclasses import replace
from typing import Any

import pytest

from regraft.adaptations import budget
from regraft.adaptations.budget import OF_CHOICE
from regraft.adaptations.choice import choose_feature, possible
from regraft.adaptations.training import Limits, on_ray
from regraft.adaptations.work import features_of_all, recipe
from regraft.cli.demo_data import tones
from regraft.errors import CancelledRunError, UnsupportedError
from regraft_transfer.layer_drop import LayerDrop
from tests.conftest import CACHE

SOUNDS = {
    "task": "audio-classification",
    "source": "whisper-tiny-en",
    "group_column": "syllable",
    "limit_rows": 60,
}


@pytest.mark.parametrize("strategy", ["layer-drop", "student-init", "distillation"])
def test_layers_are_left_out_below_a_feature_that_has_some(begun: Any, strategy: str) -> None:
    work = begun(**SOUNDS, data=str(tones(CACHE)), strategy=strategy)
    lowest, *_, highest = sorted(work.request.candidates, key=lambda feature: feature.name)
    assert lowest.name.startswith("layer-0")
    assert possible(work, [lowest, highest]) == highest
    with pytest.raises(UnsupportedError, match=f"'{lowest.name}': 0 of its layers .* lp-ft"):
        possible(work, [lowest])


def test_the_choice_goes_over_no_more_rows_than_its_share_of_the_budget_allows(
    begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "_least", lambda work: 20)
    monkeypatch.setattr(budget, "_seconds_a_row", lambda work, backbone, rows: 1.0)
    seen: list[int] = []

    def spy(work: Any, candidates: Any, rows: Any) -> Any:
        seen.append(len(rows))
        return features_of_all(work, candidates, rows)

    monkeypatch.setattr("regraft.adaptations.choice.features_of_all", spy)
    for seconds in (30 / OF_CHOICE, None):
        work = begun(**SOUNDS, data=str(tones(CACHE)), strategy="linear-probe", budget=seconds)
        few = work.request.candidates[:2]
        work = replace(work, request=replace(work.request, candidates=few))
        assert choose_feature(work).feature in few
    rows = len(work.data.train)
    assert 20 <= seen[0] <= 30 < rows
    assert seen[1] == rows


def test_a_strategy_that_changes_no_layers_takes_the_best(begun: Any) -> None:
    work = begun(strategy="full")
    (feature,) = work.request.candidates
    other = replace(feature, name="last-1")
    assert possible(work, [other, feature]) == other


def test_what_cannot_be_built_is_told_at_once_and_ends_the_workers(
    begun: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def fail(self: Any, model: Any) -> Any:
        raise UnsupportedError("no such layer")

    def wait(request: Any, watcher: Any) -> None:
        while not watcher.cancelled():
            pass
        raise CancelledRunError("The adaptation was cancelled.")

    monkeypatch.setattr(LayerDrop, "prepare", fail)
    monkeypatch.setattr("regraft.training.trainer.train_on_ray", wait)
    work = begun(strategy="layer-drop")
    made = recipe(work, work.request.strategy, work.request.candidates[0])
    with pytest.raises(UnsupportedError, match="no such layer"):
        on_ray(work, made, tmp_path, Limits())
