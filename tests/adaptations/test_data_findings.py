"""Findings about the data of an adaptation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regraft.adaptations import findings
from regraft.adaptations.findings import find_findings
from regraft.adaptations.learning import learn_frozen
from regraft.adaptations.work import frozen_features


@pytest.fixture
def parted(tmp_path: Path, reviews: Path) -> dict[str, str]:
    """Parts of 30, 15 and 15 texts: the second validation row all but repeats a row of training,
    the third test row one of validation."""
    header, *lines = reviews.read_text().splitlines()
    parts = {"data": lines[::2], "validation": lines[1::4], "test": lines[3::4]}
    parts["validation"][1] = again(parts["data"][4])
    parts["test"][2] = again(parts["validation"][8])
    files = {name: tmp_path / f"{name}.csv" for name in parts}
    for name, file in files.items():
        file.write_text("\n".join([header, *parts[name]]))
    return {name: str(file) for name, file in files.items()}


def again(line: str) -> str:
    """The same in other letters: for the encoder it is one text, for the split another."""
    text, label = line.split(",")
    return f"{text.upper()},{label}"


def test_near_duplicates_are_told_of_all_parts(begun: Any, parted: dict[str, str]) -> None:
    work = begun(**parted)
    found = find_findings(work, learn_frozen(work).feature)
    rows = {tuple(one["between"]): one["rows"] for one in found if "near" in one["kind"]}
    assert rows == {("test", "validation"): [3], ("validation", "train"): [2]}
    (text,) = [one["text"] for one in found if one.get("between") == ["test", "validation"]]
    assert text == (
        "1 of 15 test rows are nearly the same as a validation row, so that the test part is "
        "easier than what is to come: rows 3"
    )


def test_rows_of_one_category_are_no_near_duplicates(begun: Any, tmp_path: Path) -> None:
    rng, table = np.random.default_rng(0), tmp_path / "table.csv"
    rows = [f"{rng.normal():.4f},{rng.normal():.4f},c{n % 40},{n % 2}" for n in range(800)]
    table.write_text("\n".join(["height,weight,city,label", *rows]))
    work = begun(data=str(table), task="tabular-classification", source="plain-table")
    found = find_findings(work, learn_frozen(work).feature)
    assert [one for one in found if one["kind"] == "near-duplicates"] == []


def test_a_shift_is_looked_for_among_some_of_the_rows_without_labels(
    begun: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more, asked = tmp_path / "more.csv", []
    more.write_text("text\n" + "".join(f"a film number {n}\n" for n in range(30)))
    work = begun(unlabelled=str(more))
    feature = learn_frozen(work).feature
    monkeypatch.setattr(findings, "MOST_ROWS", 12)
    monkeypatch.setattr("regraft.evaluation.findings.LEAST_UNITS", 6)

    def counted(work: Any, feature: Any, part: Any) -> Any:
        asked.append(len(part))
        return frozen_features(work, feature, part)

    monkeypatch.setattr(findings, "frozen_features", counted)
    kinds = {one["kind"]: one for one in find_findings(work, feature)}
    assert kinds["shift"]["between"] == ["unlabelled", "test"]
    assert asked[-1] == 12
