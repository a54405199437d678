"""`--strategy auto`: which strategies are tried, and which of them is taken."""

from pathlib import Path
from typing import Any

import pytest

from regraft.adaptations.candidates import candidates
from regraft.adaptations.queries import show_version
from regraft.adaptations.request import check_request, parse_spec
from regraft.adaptations.run import run
from regraft.adaptations.search import Scored, choose
from regraft.domain import DataSet, Examples
from regraft.errors import InvalidInputError, RunFailedError
from regraft.plugins import Plugins
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


def test_one_that_failed_is_passed_over_and_all_that_failed_are_told() -> None:
    failed = Scored(PROBE, None, None, 0.0, reason="it burst")
    full = Scored(FULL, 0.4, 1.0, 2.0)
    assert choose([failed, full]) is full
    with pytest.raises(RunFailedError, match="linear-probe: it burst"):
        choose([failed])


def test_best_source_of_the_catalogue_is_taken_and_the_ranking_reported(
    submit: Any, reviews: Path, registry: Any
) -> None:
    result = run(submit(source="auto")).result
    assert result is not None
    assert result["source"] == "minilm-l6"
    report = show_version(registry, "reviews", None)["report"]
    assert report["ranking"]["ranking"][0]["source"] == "minilm-l6"
