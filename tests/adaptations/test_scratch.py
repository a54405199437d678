"""The baseline from scratch: what it is trained for, and why there may be none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regraft.adaptations.learning import learn_frozen
from regraft.adaptations.scratch import scratch_baseline
from regraft.adaptations.work import Work
from regraft.errors import UnsupportedError


def lasting(work: Work, seconds: float, most: float = 600.0) -> Work:
    """The work as if it had taken so long, with scratch_seconds."""
    settings = work.context.settings.model_copy(update={"scratch_seconds": most})
    context = replace(work.context, settings=settings, seconds={"train": seconds})
    return replace(work, context=context)


@pytest.mark.parametrize(
    ("seconds", "most", "budget", "reason"),
    [
        (0.0, 600, None, "the adaptation has taken 0.0 s"),
        (60, 1e-6, None, "the setting scratch_seconds allows 0.0 s"),
        (60, 600, 1e-6, "the budget leaves 0.0 s"),
    ],
)
def test_reason_names_what_bounds_its_time(
    begun: Any, seconds: float, most: float, budget: float | None, reason: str
) -> None:
    work = begun(budget=budget)
    learnt = learn_frozen(work)
    with pytest.raises(UnsupportedError, match=rf"it would take .* s or more, and {reason}$"):
        scratch_baseline(lasting(work, seconds, most), learnt)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng, path = np.random.default_rng(0), tmp_path / "table.csv"
    rows = [f"{height:.4f},{height > 0}" for height in rng.normal(size=60)]
    path.write_text("\n".join(["height,label", *rows]))
    return path


def test_joined_features_are_compared_with_the_architecture_as_it_ends_by_default(
    begun: Any, table: Path
) -> None:
    given = {"data": str(table), "task": "tabular-classification"}
    work = begun(**given, source=f"table:{table}#label", strategy="layer-fusion")
    judged = scratch_baseline(lasting(work, 60), learn_frozen(work))
    assert len(judged.outputs) == len(work.data.test)


def test_source_without_weights_is_not_said_to_have_random_ones(begun: Any, table: Path) -> None:
    work = begun(data=str(table), task="tabular-classification", source="plain-table")
    with pytest.raises(UnsupportedError, match=r"^the source model has no pretrained weights$"):
        scratch_baseline(lasting(work, 60), learn_frozen(work))
