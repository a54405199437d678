"""The report as a page: whole, self-contained, and with all that comes from outside escaped."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from regraft.cli.page import bars, confusion, curve, gains, report_page
from regraft.cli.report import print_version


class Outline(HTMLParser):
    """Which tags a page has, and whether each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def version(adapt: Any, regraft: Any) -> dict[str, Any]:
    assert adapt("--learning-curve").code == 0
    found: dict[str, Any] = regraft("models", "show", "reviews", "--json").json
    return found


def test_page_is_whole_and_asks_nobody_for_anything(
    version: dict[str, Any], regraft: Any, tmp_path: Path
) -> None:
    target = tmp_path / "report.html"
    done = regraft("models", "report", "reviews", "--html", str(target))
    assert (done.code, done.out) == (0, f"the report of reviews/1 is in {target}\n")
    page = target.read_text()
    outline = Outline(page)
    assert outline.open == []
    assert sum(tag == "svg" for tag, _ in outline.seen) == 4
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert f"{version['verdict']} transfer" in page


@pytest.mark.parametrize("reason", ["fp32 was asked for", "no matrix product"])
def test_page_of_a_version_whose_precision_was_never_measured(
    version: dict[str, Any], reason: str
) -> None:
    version["report"]["precision"] = {"precision": "int8", "taken": False, "reason": reason}
    page = report_page(version)
    assert f"fp32: {reason}" in page
    assert "beside fp32" not in page


def test_what_comes_from_outside_is_escaped(version: dict[str, Any]) -> None:
    nasty = "<script>alert('&')</script>"
    text = json.dumps(version).replace('"positive"', json.dumps(nasty))
    page = report_page(json.loads(text))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_bars_are_the_baselines_there_are_and_the_version(version: dict[str, Any]) -> None:
    found = bars(version)
    assert [bar["name"] for bar in found[:3]] == [
        "majority baseline",
        "simple baseline",
        "linear probe, frozen",
    ]
    assert (found[-1]["ours"], found[-1]["value"]) == (True, version["metrics"]["primary"])


def test_axis_of_gains_holds_every_interval_and_zero() -> None:
    report = {
        "lineage": {"strategy": {"name": "full"}},
        "gain": {"value": 0.1, "low": 0.05, "high": 0.2, "against": "simple"},
        "gain_scratch": None,
        "gain_probe": {"value": -0.1, "low": -0.3, "high": 0.1, "against": "probe"},
    }
    found = gains(report)
    assert [row["name"] for row in found["rows"]] == ["simple baseline", "linear probe, frozen"]
    assert found["low"] < -30 < 20 < found["high"]


def test_confusion_of_many_classes_is_not_drawn() -> None:
    assert confusion({"metrics": {"confusion": [[0] * 21] * 21}}) is None
    (row, _) = confusion({"metrics": {"confusion": [[3, 1], [0, 0]]}}) or ((), ())
    assert [cell["share"] for cell in row] == [0.75, 0.25]


def test_curve_ends_with_all_rows(version: dict[str, Any]) -> None:
    rows = [point["rows"] for point in curve(version)]
    assert rows == sorted(rows)
    assert rows[-1] == version["rows"]["train"]


def test_report_is_printed_in_sentences(version: dict[str, Any], regraft: Any) -> None:
    done = regraft("models", "report", "reviews")
    assert "calibration error" in done.out
    assert "with 21 training rows" in done.out
    assert "no same architecture from scratch: the setting scratch_seconds is 0" in done.out


def test_gain_over_a_probe_is_told_of_all_but_a_probe(
    version: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    report = version["report"]
    report["gain_probe"] = {"value": 0.021, "low": -0.01, "high": 0.05, "against": "probe"}
    print_version(version)
    assert "linear probe on" not in capsys.readouterr().out
    report["lineage"]["strategy"]["name"] = "contrastive"
    print_version(version)
    assert (
        "+2.1 points over a linear probe on the frozen source model "
        "(95 % interval -1.0 to +5.0): a probe alone may be as good"
    ) in capsys.readouterr().out


def test_a_choice_of_the_source_is_told_as_the_guess_that_it_is(
    version: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    version["report"]["ranking"] = {
        "ranking": [{"source": "minilm-l6", "feature": "last", "rank": 1.25}],
        "refused": {"other": "Source model 'other' is not installed."},
        "rows": 42,
        "seconds": {"minilm-l6": 2.0},
    }
    version["report"]["learning_curve"][0].update(primary=None, reason="there was no time")
    print_version(version)
    told = capsys.readouterr().out
    for text in (told, report_page(version)):
        assert "A guess from the frozen features of 42 rows, not a result" in text
        assert "is not installed." in text
    assert "ranked minilm-l6 (last): mean rank 1.25" in told
    assert "training rows: there was no time" in told
    assert len(curve(version)) == 2
    assert "training rows: there was no time" in report_page(version)


def test_losses_are_told_beside_the_scores(
    version: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    report, loss = version["report"], version["report"]["metrics"]["loss"]
    report["forgetting"] = {
        "before": {"primary": 0.9, "loss": 0.25},
        "after": {"primary": 0.8, "loss": 0.5},
    }
    print_version(version)
    told, page = capsys.readouterr().out, report_page(version)
    assert f"loss: {loss:.3f}" in told
    assert f"the loss is\n{loss:.3f}" in page
    assert "0.900 before, 0.800 now; loss 0.250 and 0.500" in told
    assert "its loss from 0.250 to 0.500" in page


def test_a_smaller_model_is_told_with_what_it_costs(
    version: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    report = version["report"]
    report["speed"] = {"ratio": 1.9, "size_ratio": 0.6, "validation": None}
    report["gain_probe"] = {"value": -0.021, "low": -0.05, "high": 0.01, "against": "probe"}
    report["lineage"]["strategy"]["name"] = "layer-drop"
    print_version(version)
    told = capsys.readouterr().out
    assert "0.60 of its size; -2.1 points over a linear probe on the frozen source model" in told
    assert "points beside a linear probe on the whole source model" in report_page(version)


def test_page_that_cannot_be_written_is_said(version: dict[str, Any], regraft: Any) -> None:
    done = regraft("models", "report", "reviews", "--html", "/no/such/folder/report.html")
    assert done.code == 2
    assert "cannot be written" in done.err
