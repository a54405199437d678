"""Clients that others wrote get right answers, with their defaults."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Server

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


def test_kserve_client_over_http(
    server: Server, kserve: Path, expected: list[dict[str, Any]]
) -> None:
    found = run(kserve, "kserve_check.py", server.url, "tweets")
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, True)
    check(found["binary"], expected)
    check(found["json"], expected)
