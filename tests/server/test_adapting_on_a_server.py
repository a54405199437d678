"""Adaptations by a server, beside its predictions."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.processes import instance_processes
from regraft.domain import AdaptationSpec
from tests.server.conftest import Server
from tests.server.load import by_http_client, loaded, predict_body
from tests.server.processes import adapt, regraft, wait_until

pytestmark = pytest.mark.ray


@pytest.fixture
def transcripts(sweeps: Path) -> Path:
    """A CSV of generated sounds with a word each: `benchmarks.recognition` has real speech."""
    table = sweeps.parent / "transcripts.csv"
    files = sorted(path for path in sweeps.rglob("*") if path.is_file())
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "text"])
        writer.writerows([f"sweeps/{p.parent.name}/{p.name}", p.parent.name] for p in files)
    return table


def test_training_outlives_a_worker_while_predictions_go_on(
    server: Server, transcripts: Path, tiny_hubert: Path
) -> None:
    """One of two workers, which train a head of characters on sounds of any length, is killed after
    the first epoch: from there it goes on, and no prediction fails."""
    told: list[tuple[str, dict[str, Any]]] = []

    def all_of(kind: str) -> list[dict[str, Any]]:
        return [data for told_kind, data in told if told_kind == kind]

    def kill_one(kind: str, data: dict[str, Any]) -> None:
        told.append((kind, data))
        if kind == "epoch" and len(all_of("epoch")) == 1:
            os.kill(all_of("worker")[0]["pid"], signal.SIGKILL)

    spec = AdaptationSpec(
        name="spoken",
        data=str(transcripts),
        task="speech-recognition",
        source=str(tiny_hubert),
        strategy="full",
        options={"epochs": 5, "patience": 5, "learning_rate": 1e-3, "least_steps": 0},
        split=(0.6, 0.2, 0.2),
        workers=2,
        force=True,
    )
    kinds = ("rising", "falling")
    sounds = [next((transcripts.parent / "sweeps" / k).iterdir()).read_bytes() for k in kinds]
    sender = by_http_client(server.url, "/v2/models/tweets/predict", predict_body("fine"))
    with loaded([sender], 10) as tally, server.client() as client:
        result = client.adapt(spec, False, kill_one)
        answer = client.predict("spoken", sounds)
    assert tally.failures == []
    assert tally.answered > 20
    assert answer["version"] == str(result["version"])
    assert [set(row) for row in answer["predictions"]] == [{"text", "score"}] * 2
    assert result["feature"] == "layer-2"
    assert result["parity"]["argmax_agreement"] == 1
    losses = [data["validation"]["loss"] for data in all_of("epoch")]
    assert losses[-1] < losses[0]
    epochs = [data["epoch"] for data in all_of("epoch")]
    assert len(all_of("worker")) == 2
    assert epochs == sorted(set(epochs)), "no epoch was trained twice"
    assert epochs[-1] == 5


def test_a_run_whose_own_process_dies_goes_on_with_what_it_had_reserved(
    server: Server, tweets: Path, tiny_bert: Path
) -> None:
    """Its workers had all processors, which nobody else would ever give back."""
    epochs: list[int] = []

    def kill_the_run(kind: str, data: dict[str, Any]) -> None:
        if kind == "epoch":
            epochs.append(data["epoch"])
        if kind == "epoch" and len(epochs) == 1:
            for process in instance_processes(server.home.root):
                if "ray::Runner" in " ".join(process.cmdline()):
                    process.kill()

    spec = AdaptationSpec(
        name="orphaned",
        data=str(tweets),
        source=str(tiny_bert),
        strategy="full",
        options={"epochs": 4, "patience": 4, "least_steps": 0},
        limit_rows=400,
        force=True,
    )
    with server.client() as client:
        result = client.adapt(spec, False, kill_the_run)
    assert epochs == [1, 2, 3, 4]
    assert result["version"] == 1


def test_a_command_on_the_home_of_a_server_sends_it_files_of_two_domains(
    server: Server, tweets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """DATA is absent: there are three others."""
    header, *lines = tweets.read_text().splitlines(keepends=True)
    files = {name: tmp_path / f"{name}.csv" for name in ("source", "unlabelled", "test")}
    for number, file in enumerate(files.values()):
        file.write_text(header + "".join(lines[60 * number : 60 * (number + 1)]))
    given = ("--source-data", str(files["source"]), "--unlabelled", str(files["unlabelled"]))
    more = ("--test", str(files["test"]), "--name", "across", "--source", str(tiny_bert))
    result = adapt(server.environment, *given, *more)
    assert result["endpoint"].startswith(server.url)
    assert result["rows"]["test"] == 60
    assert result["rows"]["unlabelled"] == 60
    shown = regraft(server.environment, "models", "show", "across", "--json")
    report = json.loads(shown.stdout)["report"]
    assert report["forgetting"]["before"]["primary"] > 0
    assert any(finding["kind"] == "shift" for finding in report["findings"])


def test_auto_tries_several(server: Server, tweets: Path, tiny_bert: Path) -> None:
    given = ("--name", "several", "--source", str(tiny_bert), "--strategy", "auto")
    adapt(server.environment, str(tweets), *given, "--limit-rows", "60")
    shown = regraft(server.environment, "models", "show", "several", "--json")
    report = json.loads(shown.stdout)["report"]
    tried = report["tried"]
    assert {one["strategy"] for one in tried} == {"lp-ft", "lora", "linear-probe"}
    assert all(one["score"] is not None for one in tried), tried
    assert [one["taken"] for one in tried].count(True) == 1
    assert [one["all_labels"] for one in tried] == [one["taken"] for one in tried]
    assert report["lineage"]["learnt_from"]["head"] == ["train", "validation"]


def test_bad_data_is_exit_2_with_its_row(server: Server, tmp_path: Path, tiny_bert: Path) -> None:
    data = tmp_path / "bad.csv"
    data.write_text("text,label\n" + "fine,a\nbad,b\n" * 5 + ",a\n")
    command = ("adapt", str(data), "--name", "bad", "--source", str(tiny_bert))
    done = regraft(server.environment, *command, "--url", server.url)
    assert done.returncode == 2
    assert "row 11" in done.stderr
    assert "empty-input" in done.stderr


def test_more_workers_than_the_cluster_has_are_refused_at_submit(
    server: Server, tweets: Path, tiny_bert: Path
) -> None:
    given = ("--name", "many", "--source", str(tiny_bert), "--workers", "500", "--detach")
    done = regraft(server.environment, "adapt", str(tweets), *given, "--strategy", "full")
    assert done.returncode == 2
    assert "500 workers need 500 CPUs" in done.stderr


def test_a_detached_adaptation_can_be_cancelled(
    server: Server, tweets: Path, tiny_bert: Path
) -> None:
    given = ("--name", "long", "--source", str(tiny_bert), "--strategy", "full", "--detach")
    submitted = adapt(server.environment, str(tweets), *given, "--option", "epochs=100")
    url = f"{server.url}/v1/adaptations/{submitted['id']}"

    def state() -> str:
        return str(httpx.get(url, timeout=30).json()["state"])

    wait_until(lambda: state() == "running", 60, "the run to begin")
    httpx.post(f"{url}/cancel", json={}, timeout=30)
    wait_until(lambda: state() == "cancelled", 15, "the run to end as cancelled")
    events = httpx.get(f"{url}/events", timeout=60).text
    assert events.count("event: cancelled") == 1
