"""Findings about the data of an adaptation."""

from pathlib import Path
from typing import Any

import numpy as np

from regraft.adaptations.findings import find_findings
from regraft.adaptations.learning import learn_frozen


def test_rows_of_one_category_are_no_near_duplicates(begun: Any, tmp_path: Path) -> None:
    rng, table = np.random.default_rng(0), tmp_path / "table.csv"
    rows = [f"{rng.normal():.4f},{rng.normal():.4f},c{n % 40},{n % 2}" for n in range(800)]
    table.write_text("\n".join(["height,weight,city,label", *rows]))
    work = begun(data=str(table), task="tabular-classification", source="plain-table")
    found = find_findings(work, learn_frozen(work).feature)
    assert [one for one in found if one["kind"] == "near-duplicates"] == []
