"""Clients that others wrote get right answers, with their defaults."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.conftest import Server
from tests.server.processes import wait_until

TEXTS = ["I love this", "an awful day", "日本語 ü"]
SCRIPTS = Path(__file__).parent

pytestmark = [pytest.mark.ray, pytest.mark.clients]


@pytest.fixture(scope="module")
def expected(server: Server) -> list[dict[str, Any]]:
    with server.client() as client:
        predictions: list[dict[str, Any]] = client.predict("tweets", TEXTS)["predictions"]
    return predictions


def run(python: Path, script: str, *arguments: str) -> dict[str, Any]:
    command = [str(python), str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def check(outputs: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert outputs["label"] == [row["label"] for row in expected]
    assert outputs["score"] == pytest.approx([row["score"] for row in expected], abs=1e-5)
    rows = [list(row["probabilities"].values()) for row in expected]
    for found, wanted in zip(outputs["probabilities"], rows, strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)


def test_tritonclient_over_http(
    server: Server, triton: Path, expected: list[dict[str, Any]]
) -> None:
    found = run(triton, "triton_check.py", server.url.removeprefix("http://"), "tweets")
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, True)
    assert found["unknown_ready"] is False
    assert found["server"]["name"] == "regraft"
    assert "binary_tensor_data" in found["server"]["extensions"]
    assert found["metadata"]["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    for kind in ("binary", "json"):
        assert found[kind]["id"] == "seven"
        check(found[kind]["outputs"], expected)
    assert list(found["some"]["outputs"]) == ["label"]
    best = [text.split(":") for text in found["classes"]]
    assert [name for _, _, name in best] == [row["label"] for row in expected]
    states = {row["name"]: row["state"] for row in found["index"]}
    assert (states["tiny"], states["tweets"]) == ("READY", "READY")
    assert found["config"]["input"][0]["data_type"] == "TYPE_STRING"
    (statistics,) = found["statistics"]["model_stats"]
    assert (statistics["name"], statistics["version"]) == ("tweets", "1")
    assert statistics["inference_count"] >= len(TEXTS)


def test_statistics_are_the_sum_over_the_replicas(server: Server) -> None:
    def counted() -> tuple[int, int]:
        found = httpx.get(f"{server.url}/v2/models/tiny/stats", timeout=30).json()["model_stats"]
        stats = found[0]["inference_stats"] if found else {"success": {"count": 0}}
        return (found[0]["inference_count"] if found else 0), stats["success"]["count"]

    def ask(number: int) -> None:
        body = {"inputs": [f"fine {number}", "good"]}
        answer = httpx.post(f"{server.url}/v2/models/tiny/predict", json=body, timeout=30)
        assert answer.status_code == 200

    rows, requests = counted()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(40)))
    wait_until(lambda: counted() == (rows + 80, requests + 40), 20, "every row to be counted")


def test_tritonclient_over_grpc(
    server: Server, triton: Path, expected: list[dict[str, Any]]
) -> None:
    found = run(triton, "triton_grpc_check.py", server.grpc, "tweets")
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, True)
    assert (found["server"], found["health"]) == ("regraft", [1, 1])
    assert found["inputs"] == [["text", "BYTES", [-1]]]
    assert found["all"]["id"] == "seven"
    check(found["all"]["outputs"], expected)
    assert found["some"]["outputs"]["label"] == [row["label"] for row in expected]
    best = [text.split(":") for text in found["classes"]["outputs"]["probabilities"]][::2]
    assert [name for _, _, name in best] == [row["label"] for row in expected]
    assert found["unknown"].startswith("StatusCode.NOT_FOUND: Unknown endpoint 'nope'")
    assert found["wrong"].startswith("StatusCode.INVALID_ARGUMENT: Expected input tensors: 'text'")


def test_mlserver_infers_a_file(
    server: Server, mlserver: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Its command takes a request a line, and writes the answers likewise."""
    asked, answered = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl"
    tensors = [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [t]} for t in TEXTS]
    asked.write_text("".join(json.dumps({"inputs": [tensor]}) + "\n" for tensor in tensors))
    host = server.url.removeprefix("http://")
    command = [str(mlserver.with_name("mlserver")), "infer", "-u", host, "-m", "tweets"]
    command += ["-i", str(asked), "-o", str(answered), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in answered.read_text().splitlines()]
    rows.sort(key=lambda row: row["parameters"]["batch_index"])
    labels = [{o["name"]: o["data"] for o in row["outputs"]}["label"] for row in rows]
    assert labels == [[row["label"]] for row in expected]


@pytest.mark.parametrize(
    ("script", "address", "forms"),
    [
        ("kserve_check.py", "url", ("binary", "json")),
        ("kserve_grpc_check.py", "grpc", ("raw", "contents")),
    ],
)
def test_kserve_client(
    server: Server,
    kserve: Path,
    expected: list[dict[str, Any]],
    script: str,
    address: str,
    forms: tuple[str, str],
) -> None:
    found = run(kserve, script, getattr(server, address), "tweets")
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, True)
    for form in forms:
        check(found[form], expected)
