"""Commands that show, promote, roll back and predict."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from regraft.domain import AdaptationSpec
from regraft.registry.home import Home
from regraft.registry.store import Registry


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("sources", "minilm-l6"),
        ("tasks", "text-classification"),
        ("strategies", "linear-probe"),
        ("plugins", "transfer"),
    ],
)
def test_catalogue_is_a_table_and_json(regraft: Any, kind: str, row: str) -> None:
    table = regraft(kind)
    assert table.code == 0
    assert table.out.startswith("NAME")
    assert any(line.startswith(row) for line in table.out.splitlines())
    assert row in {item["name"] for item in regraft(kind, "--json").json}


@pytest.mark.parametrize("kind", ["models", "adaptations", "endpoints", "datasets"])
def test_empty_home_has_nothing_yet(regraft: Any, kind: str) -> None:
    assert regraft(kind, "list").out == f"There are no {kind} yet.\n"
    assert regraft(kind, "list", "--json").json == []


def test_published_model_is_listed_shown_promoted_rolled_back_and_asked(
    adapt: Any, regraft: Any
) -> None:
    first, _ = adapt("--json").json, adapt("--json")
    assert [line.split()[:2] for line in regraft("models", "list").out.splitlines()[1:]] == [
        ["reviews", "1"],
        ["reviews", "2"],
    ]
    shown = regraft("models", "show", "reviews/1").out
    assert "true \\ predicted" in shown
    assert first["id"] in shown
    assert regraft("endpoints", "rollback", "reviews", "--json").json["version"] == 1
    promoted = regraft("endpoints", "promote", "reviews", "2").out
    assert promoted == "/v2/models/reviews answers with version 2, before that 1\n"
    assert regraft("endpoints", "show", "reviews", "--json").json["previous"] == 1
    assert regraft("adaptations", "show", first["id"], "--json").json["state"] == "succeeded"
    nothing, sizes = (
        regraft("endpoints", "set", "reviews", *more) for more in ((), ("--replicas", "3"))
    )
    assert (nothing.code, sizes.code) == (2, 2)
    assert "Nothing to set" in nothing.err
    assert "add --placement dedicated" in sizes.err


def test_prediction_answers_each_text_in_order(adapt: Any, regraft: Any) -> None:
    adapt("--json")
    texts = ["the film was good great 1", "the film was bad awful 2"]
    answer = regraft("predict", "reviews", *texts, "--json").json
    assert (answer["model"], answer["version"]) == ("reviews", "1")
    assert [row["label"] for row in answer["predictions"]] == ["positive", "negative"]
    assert all(
        sum(row["probabilities"].values()) == pytest.approx(1) for row in answer["predictions"]
    )
    table = regraft("predict", "reviews", *texts).out.splitlines()
    assert [line.split()[0] for line in table] == ["LABEL", "positive", "negative"]
    refused = regraft("predict", "reviews", "--file", __file__)
    assert (refused.code, refused.err) == (
        2,
        "Error: Endpoint 'reviews' takes texts, not files.\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["models", "show", "nothing"], "Unknown model 'nothing'"),
        (["models", "show", "reviews/one"], "A version is a number such as reviews/1"),
        (["adaptations", "show", "a-0"], "Unknown adaptation 'a-0'"),
        (["endpoints", "rollback", "nothing"], "Unknown endpoint 'nothing'"),
        (["endpoints", "promote", "nothing", "1"], "Unknown model 'nothing'"),
        (["predict", "nothing", "text"], "Unknown endpoint 'nothing'"),
        (["predict", "nothing"], "Give texts, or files with --file"),
        (["nothing"], "No such command"),
    ],
)
def test_unknown_things_are_code_2_and_named(regraft: Any, words: list[str], message: str) -> None:
    answer = regraft(*words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_damaged_blob_is_code_1_and_named(adapt: Any, regraft: Any, fresh_home: Home) -> None:
    adapt("--json")
    manifest = Registry(fresh_home.root).models.version("reviews").manifest
    path: Path = fresh_home.blobs.path(manifest.sha256)
    path.unlink()
    answer = regraft("models", "show", "reviews")
    assert answer.code == 1
    assert f"{manifest.sha256} is missing" in answer.err


def test_a_defect_is_code_1_without_a_traceback(
    regraft: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defective(*_: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("regraft.cli.local.LocalBackend.listing", defective)
    with caplog.at_level("DEBUG", "regraft.cli.main"):
        answer = regraft("models", "list")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("Error: internal: ZeroDivisionError: ours")
    assert "Traceback" not in answer.err
    assert [r.exc_info[0] for r in caplog.records if r.exc_info] == [ZeroDivisionError]


def test_version_and_help_are_code_0(regraft: Any) -> None:
    assert "regraft, version" in regraft("--version").out
    assert "adapt" in regraft("--help").out


def test_source_is_shown_by_any_reference(regraft: Any, tiny_bert: Path) -> None:
    answer = regraft("sources", "show", "whisper-tiny-en")
    assert answer.code == 0
    assert "licence: MIT" in answer.out
    assert "parameters: 8,208,384" in answer.out
    assert "layer-2-mean-std" in answer.out
    found = json.loads(regraft("sources", "show", f"hf:{tiny_bert}", "--json").out)
    assert found["modality"] == "text"
    assert found["parameters"] > 0
    assert found["features"][0] == {
        "name": "last-2",
        "form": "pooled",
        "size": 32,
        "candidate": True,
    }
    assert regraft("sources", "show", "nonesuch").code == 2


def test_an_endpoint_ends_a_version_is_deleted_and_the_home_is_cleaned(
    adapt: Any, regraft: Any, fresh_home: Home
) -> None:
    adapt("--json")
    assert "answers" in regraft("models", "delete", "reviews/1").err
    assert regraft("endpoints", "end", "reviews").out == "nobody answers at reviews any more\n"
    assert regraft("models", "delete", "reviews").code == 2
    assert regraft("models", "delete", "reviews/1").out == "version 1 of reviews is deleted\n"
    assert regraft("models", "list").out == "There are no models yet.\n"
    assert regraft("clean").out == "nothing to remove\n"
    for path in fresh_home.blobs.root.glob("??/*"):
        os.utime(path, (0, 0))
    would = regraft("clean", "--dry-run", "--json").json
    assert would["removed"]["blobs"] >= 3
    assert regraft("clean").out.startswith(f"removed: {would['removed']['blobs']} blobs; ")


def test_an_adaptation_that_waits_is_cancelled(regraft: Any, fresh_home: Home) -> None:
    spec = AdaptationSpec(name="later", source="minilm-l6", data="dataset:d-0")
    run = Registry(fresh_home.root).runs.submit(spec)[0].id
    assert regraft("adaptations", "cancel", run, "--json").json["state"] == "cancelled"
    assert "cancelled" in regraft("adaptations", "cancel", run).out
    assert regraft("adaptations", "cancel", "a-0").code == 2
