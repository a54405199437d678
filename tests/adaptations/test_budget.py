"""Rows that a frozen backbone goes over within the budget."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from regraft.adaptations import budget
from regraft.adaptations.budget import OF_BEGINNING, within_budget
from regraft.adaptations.learning import learn
from regraft.adaptations.queries import show_version
from regraft.adaptations.run import run
from regraft.adaptations.work import frozen_features
from regraft.errors import NoTimeError
from regraft.registry.store import Registry

ROWS, LEAST = 1200, 512
TRAINED = 840
HALF = 600.0


@pytest.fixture
def many(tmp_path: Path) -> str:
    path = tmp_path / "many.csv"
    lines = [
        f"the film number {n} was {'fine' if n % 3 else 'dull'},{n % 3 > 0}" for n in range(ROWS)
    ]
    path.write_text("\n".join(["text,label", *lines]))
    return str(path)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backbone that takes a second for a row."""
    monkeypatch.setattr(budget, "_seconds_a_row", lambda work, backbone, sample: 1.0)


@pytest.mark.usefixtures("slow")
def test_so_many_rows_are_taken_as_the_budget_suffices_for(begun: Any, many: str) -> None:
    work = begun(data=many, budget=HALF)
    less = within_budget(work, work.request.candidates[0])
    count = len(less.data.train)
    assert HALF - 60 < count <= HALF
    assert less.notes == (
        f"{count} of {TRAINED} training rows are used: the budget suffices for no "
        "more, and the baselines learn from these too",
    )
    shares = Counter(less.data.train.labels)
    assert shares["True"] / count == pytest.approx(2 / 3, abs=0.01)
    assert {*less.data.train.identities} <= {*work.data.train.identities}
    assert less.data.test is work.data.test


@pytest.mark.usefixtures("slow")
def test_as_large_a_share_of_the_rows_that_judge_is_taken(
    begun: Any, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "_least", lambda work: 30)
    work = begun(data=many, budget=HALF / 2)
    less = within_budget(work, work.request.candidates[0])
    share = len(less.data.train) / TRAINED
    assert 0.2 < share < 0.4
    whole, kept = work.data.validation, less.data.validation
    assert len(kept) / len(whole) == pytest.approx(share, abs=0.01)
    assert {*kept.identities} < {*whole.identities}
    assert less.notes[0].endswith(f"; of the validation rows {len(kept)} of {len(whole)}")


@pytest.mark.usefixtures("slow", "without_ray")
@pytest.mark.parametrize(("strategy", "fewer"), [("lp-ft", True), ("soup", True), ("full", False)])
def test_what_begins_with_a_frozen_backbone_goes_over_fewer_rows(
    begun: Any, many: str, strategy: str, fewer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def training(directory: Path, work: Any, *rest: Any) -> None:
        seen.append(len(work.data.train))
        raise NoTimeError("enough was seen")

    monkeypatch.setattr("regraft.adaptations.learning.train_in", training)
    with pytest.raises(NoTimeError):
        learn(begun(data=many, budget=HALF / OF_BEGINNING, strategy=strategy))
    assert (HALF - 60 < seen[0] <= HALF) if fewer else seen == [TRAINED]


@pytest.mark.usefixtures("slow")
def test_a_spent_budget_leaves_what_was_measured(begun: Any, many: str) -> None:
    work = begun(data=many, budget=1.0)
    assert len(within_budget(work, work.request.candidates[0]).data.train) == LEAST


@pytest.mark.usefixtures("slow")
def test_where_models_are_trained_too_their_part_of_it_is_left(begun: Any, many: str) -> None:
    work = begun(data=many, budget=HALF / OF_BEGINNING)
    count = len(within_budget(work, work.request.candidates[0], OF_BEGINNING).data.train)
    assert HALF - 60 < count <= HALF


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("seconds", [None, 10_000.0])
def test_all_rows_are_taken_where_the_budget_suffices(
    begun: Any, many: str, seconds: float | None
) -> None:
    work = begun(data=many, budget=seconds)
    assert within_budget(work, work.request.candidates[0]) is work


@pytest.mark.usefixtures("slow")
def test_features_that_are_known_take_no_time(begun: Any, many: str) -> None:
    work = begun(data=many, budget=1.0)
    feature = work.request.candidates[0]
    frozen_features(work, feature, work.data.train)
    assert within_budget(work, feature) is work


def test_the_time_of_a_row_is_that_of_the_backbone(begun: Any, many: str) -> None:
    work = begun(data=many)
    backbone = work.exported(work.request.candidates[0])
    part = work.data.train
    start = time.perf_counter()
    seconds = budget._seconds_a_row(work, backbone, part)
    assert 0 < seconds < (time.perf_counter() - start) / len(part)


@pytest.mark.parametrize("strategy", ["linear-probe", "auto"])
def test_the_version_tells_of_how_many_rows_it_learnt(
    submit: Any,
    registry: Registry,
    many: str,
    strategy: str,
    monkeypatch: pytest.MonkeyPatch,
    minilm: Any,
) -> None:
    monkeypatch.setattr(type(minilm), "trainable", False)  # auto has the closed form alone
    result = run(submit(data=many, strategy=strategy, budget=0.001)).result
    assert result is not None
    note = (
        f"{LEAST} of {TRAINED} training rows are used: the budget suffices for no more, and the "
        "baselines learn from these too"
    )
    assert result["notes"] == [note]
    report = show_version(registry, "reviews", None)["report"]
    assert note in report["notes"]
    assert report["rows"]["train"] == LEAST
