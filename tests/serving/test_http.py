"""The protocol's routes over a pool whose models are made up."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from starlette.testclient import TestClient

from regraft.contract import TensorSpec
from regraft.errors import OverloadedError, UnknownNameError
from regraft.serving.http import build_app
from regraft.serving.inference import Caps, Inference
from regraft.serving.telemetry import RequestRecord, Silent


class Task:
    """Answers the length of each text."""

    suffixes = (".txt",)

    def request_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("text", "BYTES", ("batch",)),)

    def request_alternatives(self) -> tuple[tuple[TensorSpec, ...], ...]:
        return (self.request_tensors(),)

    def response_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("length", "INT64", ("batch",)),)

    def rows(self, tensors: Any) -> list[str]:
        return [item.decode() for item in tensors["text"].reshape(-1)]

    def read_inputs(self, inputs: list[str]) -> list[str]:
        return inputs

    def answers(self, tensors: Any) -> list[dict[str, int]]:
        return [{"length": int(length)} for length in tensors["length"]]


class FakeBatcher:
    """Predicts at once; a row `boom` breaks the model, a row `full` finds the queue full."""

    async def predict(self, predictor: Any, rows: list[str]) -> dict[str, Any]:
        if "boom" in rows:
            raise RuntimeError("/secret/path broke")
        if "full" in rows:
            raise OverloadedError("The queue is full.", retry_after=3)
        await asyncio.sleep(0)
        return {"length": np.array([len(row) for row in rows])}


class FakePool:
    ready = True
    routes: ClassVar[dict[str, Any]] = {"m": None}
    predictors: ClassVar[dict[str, Any]] = {"m": None}
    failures: ClassVar[dict[str, Any]] = {}

    async def waited_for(self, name: str, version: str | None = None) -> Any:
        if name != "m" or version not in (None, "4"):
            raise UnknownNameError("endpoint", name, ["m"])
        return SimpleNamespace(name="m", version=4, task=Task())


class Recorder(Silent):
    def __init__(self) -> None:
        self.records: list[RequestRecord] = []

    def request(self, record: RequestRecord) -> None:
        self.records.append(record)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def http(recorder: Recorder) -> Iterator[TestClient]:
    caps = Caps(body=10_000, json=5_000)
    parts: Any = (FakePool(), FakeBatcher(), recorder, caps, "9")
    with TestClient(build_app(Inference(*parts)), raise_server_exceptions=False) as client:
        yield client


def test_infer_answers_a_versioned_path_too(http: TestClient) -> None:
    body = {"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "bb"]}]}
    for path in ("/models/m/infer", "/models/m/versions/4/infer"):
        answer = http.post(path, json=body).json()
        assert (answer["model_name"], answer["model_version"]) == ("m", "4")
        assert answer["outputs"][0]["data"] == [1, 2]


def test_a_tensor_of_another_name_is_told_beside_the_expected_one(http: TestClient) -> None:
    tensor = {"name": "txt", "shape": [1], "datatype": "BYTES", "data": ["a"]}
    answer = http.post("/models/m/infer", json={"inputs": [tensor]})
    assert answer.status_code == 400
    assert "text" in answer.json()["error"]
    assert "txt" in answer.json()["error"]


def test_a_column_of_texts_is_taken_as_texts(http: TestClient) -> None:
    tensor = {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "bb"]}
    assert http.post("/models/m/infer", json={"inputs": [tensor]}).status_code == 200
    wide = {**tensor, "shape": [1, 2]}
    refused = http.post("/models/m/infer", json={"inputs": [wide]})
    assert refused.status_code == 400
    assert "[-1]" in refused.json()["error"]


def test_an_error_inside_is_opaque_and_counted(http: TestClient, recorder: Recorder) -> None:
    answer = http.post("/models/m/predict", json={"inputs": ["boom"]})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"].startswith("Internal error")
    assert [record.status for record in recorder.records] == [500]


def test_a_full_queue_is_503_with_retry_after(http: TestClient) -> None:
    answer = http.post("/models/m/predict", json={"inputs": ["full"]})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "3"
    assert answer.json() == {"error": "The queue is full."}


def test_requests_are_counted_by_known_names_only(http: TestClient, recorder: Recorder) -> None:
    http.post("/models/m/predict", json={"inputs": ["a", "b"]})
    http.post("/models/anything-a-stranger-types/predict", json={"inputs": ["a"]})
    seen = [(record.name, record.rows, record.status) for record in recorder.records]
    assert seen == [("m", 2, 200), ("unknown", 0, 404)]


def test_bodies_are_capped(http: TestClient) -> None:
    assert http.post("/models/m/predict", content=b" " * 10_001).status_code == 413
    long = json.dumps({"inputs": ["a" * 6_000]})
    assert http.post("/models/m/predict", content=long).status_code == 413


def test_the_bare_mount_answers_without_a_redirect(recorder: Recorder) -> None:
    parts: Any = (FakePool(), FakeBatcher(), recorder, Caps(1, 1), "9")
    with TestClient(build_app(Inference(*parts)), root_path="/v2") as client:
        for path in ("/v2", "/v2/"):
            answer = client.get(path, follow_redirects=False)
            assert answer.json()["name"] == "regraft"


def test_files_of_a_form_are_rows(http: TestClient) -> None:
    files = [("file", ("a.txt", b"abc")), ("other", ("b.txt", b"de"))]
    answer = http.post("/models/m/predict", files=files)
    assert answer.status_code == 200
    assert answer.json()["predictions"] == [{"length": 3}, {"length": 2}]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\ntext\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_a_form_without_files_or_damaged_is_refused(
    http: TestClient, content: bytes, kind: str
) -> None:
    answer = http.post("/models/m/predict", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "form" in answer.json()["error"].lower()


def test_an_endpoint_of_texts_takes_no_form(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "suffixes", ())
    answer = http.post("/models/m/predict", files={"file": b"abc"})
    assert answer.status_code == 501
    assert "takes no files" in answer.json()["error"]


def test_a_file_that_is_sent_bare_is_told_how_files_go(http: TestClient) -> None:
    answer = http.post("/models/m/predict", content=b"\x89PNG")
    assert answer.status_code == 400
    assert "curl -F file=@FILE" in answer.json()["error"]
