"""The Grafana dashboard asks for what the server tells."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.series import told

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/regraft.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


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
