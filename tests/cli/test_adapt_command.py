"""`regraft adapt`: its exit codes, and what goes where."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regraft.domain import State
from regraft.registry.home import Home
from regraft.registry.store import Registry

MAIN = "from regraft.cli.main import main; main()"


def test_json_is_one_document_on_stdout_and_progress_goes_to_stderr(adapt: Any) -> None:
    answer = adapt("--json")
    assert answer.code == 0
    assert (answer.json["name"], answer.json["version"]) == ("reviews", 1)
    assert "features" in answer.err


def test_people_are_told_the_verdict_and_the_endpoint(adapt: Any) -> None:
    answer = adapt()
    assert re.search(r"reviews version 1: accuracy [01]\.\d{3}, [+-][\d.]+ points", answer.out)
    assert re.search(r"majority baseline +0\.", answer.out)
    assert "endpoint: /v2/models/reviews" in answer.out


def test_people_are_told_of_rows_that_were_not_learnt_from(adapt: Any, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("text\nthe plot was thin\n")
    answer = adapt("--unlabelled", str(tmp_path / "more.csv"))
    assert "note: the 1 rows without labels were not learnt from: 'linear-probe'" in answer.out


def test_not_promoted_version_is_told_without_an_endpoint(adapt: Any) -> None:
    answer = adapt("--no-promote")
    assert answer.code == 0
    assert "endpoint:" not in answer.out


def test_options_reach_the_strategy_as_json_values(adapt: Any, regraft: Any) -> None:
    options = (
        "--option",
        "feature=layer-1",
        "--option",
        "strengths=[0.5]",
        "--split",
        ".5,.25,.25",
    )
    rows = adapt("--json", "--seed", "7", *options).json["rows"]
    assert rows["train"] == 30
    assert sum(rows.values()) == 60
    lineage = regraft("models", "show", "reviews", "--json").json["report"]["lineage"]
    assert lineage["strategy"]["options"]["strengths"] == [0.5]
    assert (lineage["source"]["feature"], lineage["seed"]) == ("layer-1", 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strategy", "linear-prob"], "Unknown strategy 'linear-prob'. Did you mean 'linear-pro"),
        (["--source", "word2vec"], "Unknown source model 'word2vec'"),
        (["--task", "poetry"], "Unknown task 'poetry'"),
        (["--option", "folds"], "--option wants KEY=VALUE, not 'folds'"),
        (["--option", "=3"], "--option wants KEY=VALUE, not '=3'"),
        (["--option", "fold=3"], "fold: there is no such option"),
        (["--split", ".7,.3"], "--split wants three fractions"),
        (["--split", "a,b,c"], "--split wants three fractions"),
        (["--split", ".7,.2,.2"], "must sum to 1, not 1.1"),
        (["--budget", "soon"], "--budget wants a time such as 90s, 10m or 2h, not 'soon'"),
        (["--budget", "0m"], "budget: input should be greater than 0"),
        (["--budget", "inf"], "budget: input should be a finite number"),
        (["--name", "stats"], "'stats' is reserved"),
        (["--seed", "x"], "'x' is not a valid integer"),
        (["--label-column", "nothing"], "nothing"),
        (["--test", "/no/such.csv"], "/no/such.csv"),
        (["--detach"], "--detach needs a server"),
        (["--poetry"], "No such option"),
    ],
)
def test_bad_input_is_code_2_and_one_message_on_stderr(
    adapt: Any, words: list[str], message: str
) -> None:
    answer = adapt("--json", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_control_c_is_code_130_and_a_cancelled_run(fresh_home: Home, tweets: Path) -> None:
    words = ["adapt", str(tweets), "--name", "tweets", "--source", "minilm-l6", "--json"]
    environment = {**os.environ, "REGRAFT_HOME": str(fresh_home.root)}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "features" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "Cancelled.")
    registry = Registry(fresh_home.root)
    assert [run.state for run in registry.runs.all()] == [State.CANCELLED]
    assert registry.models.versions() == []


def test_failed_run_is_code_1_with_its_reason(
    adapt: Any, regraft: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regraft.export.parity.TOLERANCE", 0.0)
    answer = adapt("--json")
    assert (answer.code, answer.out) == (1, "")
    assert "it is not published" in answer.err
    (run,) = regraft("adaptations", "list", "--json").json
    assert run["state"] == "failed"
    assert "it is not published" in json.dumps(run["reason"])
