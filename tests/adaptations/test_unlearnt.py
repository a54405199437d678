"""Rows without labels that were given and not learnt from."""

from pathlib import Path
from typing import Any

import pytest

from regraft.adaptations.queries import show_version
from regraft.adaptations.run import run
from regraft.adaptations.work import unlearnt_notes
from regraft.registry.store import Registry

NOTE = "the 2 rows without labels were not learnt from: 'linear-probe' takes none"


@pytest.fixture
def more(tmp_path: Path) -> str:
    path = tmp_path / "more.csv"
    path.write_text("text\nthe plot was thin\nthe cast was fine\n")
    return str(path)


@pytest.mark.parametrize(
    ("strategy", "noted"),
    [("linear-probe", True), ("soup", True), ("mcc", False), ("distillation", False)],
)
def test_rows_are_noted_that_the_strategy_does_not_look_at(
    begun: Any, more: str, strategy: str, noted: bool
) -> None:
    assert bool(unlearnt_notes(begun(strategy=strategy, unlabelled=more))) == noted


def test_nothing_is_noted_where_no_such_rows_were_given(begun: Any) -> None:
    assert unlearnt_notes(begun()) == []


@pytest.mark.parametrize("strategy", ["linear-probe", "auto"])
def test_report_and_result_note_it_of_the_strategy_that_was_taken(
    submit: Any,
    registry: Registry,
    more: str,
    strategy: str,
    monkeypatch: pytest.MonkeyPatch,
    minilm: Any,
) -> None:
    monkeypatch.setattr(type(minilm), "trainable", False)  # auto has the closed form alone
    result = run(submit(unlabelled=more, strategy=strategy)).result
    assert result is not None
    assert result["notes"] == [NOTE]
    assert NOTE in show_version(registry, "reviews", None)["report"]["notes"]
