"""Adaptations by a server, beside its predictions."""

import json
from pathlib import Path

import httpx
import pytest

from tests.server.conftest import Server
from tests.server.load import by_http_client, loaded, predict_body
from tests.server.processes import adapt, regraft, wait_until

pytestmark = pytest.mark.ray


def test_full_runs_to_its_end_on_two_workers_while_predictions_go_on(
    server: Server, tweets: Path, tiny_bert: Path
) -> None:
    sender = by_http_client(server.url, "/v2/models/tweets/predict", predict_body("fine"))
    with loaded([sender], 10) as tally:
        result = adapt(
            {**server.environment, "REGRAFT_HOME": "/nonexistent"},
            *(str(tweets), "--name", "trained", "--source", str(tiny_bert), "--strategy", "full"),
            *("--workers", "2", "--limit-rows", "200", "--option", "epochs=2"),
            *("--url", server.url),
        )
    assert tally.failures == []
    assert tally.answered > 20
    assert result["endpoint"] == f"{server.url}/v2/models/trained"
    answer = httpx.post(f"{result['endpoint']}/predict", json={"inputs": ["fine"]}, timeout=30)
    assert answer.json()["version"] == str(result["version"])


def test_auto_tries_several_across_two_domains(
    server: Server, tweets: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    """DATA is absent: three files are sent, and what is taken is one of several trials."""
    header, *lines = tweets.read_text().splitlines(keepends=True)
    files = {name: tmp_path / f"{name}.csv" for name in ("source", "unlabelled", "test")}
    for number, file in enumerate(files.values()):
        file.write_text(header + "".join(lines[60 * number : 60 * (number + 1)]))
    given = ("--source-data", str(files["source"]), "--unlabelled", str(files["unlabelled"]))
    more = ("--test", str(files["test"]), "--name", "across", "--source", str(tiny_bert))
    result = adapt(server.environment, *given, *more, "--strategy", "auto")
    assert result["rows"]["test"] == 60
    assert result["rows"]["unlabelled"] == 60
    shown = regraft(server.environment, "models", "show", "across", "--json")
    report = json.loads(shown.stdout)["report"]
    few = {"contrastive", "linear-probe", "prototype", "mcc", "pseudo-label"}
    assert {one["strategy"] for one in report["tried"]} == few
    assert all(one["score"] is not None for one in report["tried"]), report["tried"]
    assert [one["taken"] for one in report["tried"]].count(True) == 1
    assert report["forgetting"]["before"]["primary"] > 0
    assert any(finding["kind"] == "shift" for finding in report["findings"])


def test_training_ends_with_its_budget_and_its_head_is_refitted(
    server: Server, tweets: Path, tiny_bert: Path
) -> None:
    given = ("--name", "brief", "--source", str(tiny_bert), "--strategy", "contrastive")
    long = ("--budget", "35s", "--option", "least_steps=100000")
    result = adapt(server.environment, str(tweets), *given, *long)
    assert result["parity"]["argmax_agreement"] == 1
    events = httpx.get(f"{server.url}/v1/adaptations/{result['id']}/events", timeout=60).text
    assert events.count("event: expired") == 1


def test_a_command_on_the_home_of_a_server_goes_to_that_server(
    server: Server, tweets: Path, tiny_bert: Path
) -> None:
    given = ("--name", "there", "--source", str(tiny_bert), "--limit-rows", "100")
    result = adapt(server.environment, str(tweets), *given)
    assert result["endpoint"].startswith(server.url)
    shown = regraft(server.environment, "adaptations", "show", result["id"], "--json")
    assert json.loads(shown.stdout)["state"] == "succeeded"


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
    wait_until(lambda: state() == "cancelled", 60, "the run to end as cancelled")
    events = httpx.get(f"{url}/events", timeout=60).text
    assert events.count("event: cancelled") == 1
