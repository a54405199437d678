"""The Grafana dashboard asks for what the server tells."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from regraft.api.live_metrics import FIGURES
from regraft.serving.metrics import FAMILIES

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/regraft.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def told() -> set[str]:
    """The names of all series of `/metrics`."""
    series = set(FIGURES)
    for name, family in FAMILIES.items():
        ends = ("bucket", "sum", "count") if family.bounds else ("total",)
        series |= {f"{name}_{end}" for end in ends}
    return series


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_panel_asks_for_series_that_there_are(expression: str) -> None:
    asked = set(re.findall(r"regraft_\w+", expression))
    assert asked
    assert asked <= told()
    assert expression.count("(") == expression.count(")")


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
