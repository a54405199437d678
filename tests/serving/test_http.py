"""The protocol's routes over a pool whose models are made up."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from regraft.serving.aside import LARGE
from regraft.serving.http import build_app
from regraft.serving.inference import Caps, Inference, Watchers
from regraft.serving.protocol import compressed
from regraft.serving.rollout import Served
from regraft.serving.statistics import Statistics
from regraft.serving.telemetry import Several
from tests.serving.fakes import FakeBatcher, FakePool, Recorder, StuckBatcher, Task, version


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def http(recorder: Recorder, pool: FakePool, tmp_path: Path) -> Iterator[TestClient]:
    caps = Caps(body=10_000, json=5_000)
    parts: Any = (pool, FakeBatcher(), Watchers(recorder, Statistics(tmp_path)), caps, "9")
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


def test_a_request_whose_time_is_over_is_504(http: TestClient) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["late"]}
    asked: dict[str, Any] = {"inputs": [tensor]}
    assert http.post("/models/m/infer", json=asked).status_code == 200
    answer = http.post("/models/m/infer", json={**asked, "parameters": {"timeout": 1000}})
    assert (answer.status_code, answer.json()) == (504, {"error": "The request's time was over."})


def test_requests_are_counted_by_known_names_only(http: TestClient, recorder: Recorder) -> None:
    http.post("/models/m/predict", json={"inputs": ["a", "b"]})
    http.post("/models/anything-a-stranger-types/predict", json={"inputs": ["a"]})
    http.post("/models/new/predict", json={"inputs": ["a"]})
    seen = [(record.name, record.rows, record.status) for record in recorder.records]
    assert seen == [("m", 2, 200), ("unknown", 0, 404), ("new", 1, 200)]


def test_bodies_are_capped(http: TestClient) -> None:
    assert http.post("/models/m/predict", content=b" " * 10_001).status_code == 413
    long = json.dumps({"inputs": ["a" * 6_000]})
    assert http.post("/models/m/predict", content=long).status_code == 413


def test_too_many_rows_are_refused_before_they_are_looked_at(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeBatcher, "most", 2)
    for read in ("rows", "read_inputs"):
        monkeypatch.setattr(Task, read, lambda *_: pytest.fail("looked at"))
    many = ["a"] * 3
    tensor = {"name": "text", "datatype": "BYTES", "shape": [3], "data": many}
    for path, given in (
        ("/models/m/predict", {"json": {"inputs": many}}),
        ("/models/m/predict", {"files": [("file", ("a.txt", b"abc"))] * 3}),
        ("/v2/models/m/infer", {"json": {"inputs": [tensor]}}),
    ):
        answer = http.post(path, **given)
        assert (answer.status_code, answer.json()) == (413, {"error": "At most 2 rows."})


def test_the_bare_mount_answers_without_a_redirect(recorder: Recorder, tmp_path: Path) -> None:
    statistics = Statistics(tmp_path)
    parts: Any = (FakePool(), FakeBatcher(), Watchers(recorder, statistics), Caps(1, 1), "9")
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


def test_index_tells_every_endpoint_and_its_state(http: TestClient) -> None:
    rows = http.post("/repository/index").json()
    assert [(row["name"], row["version"], row["state"]) for row in rows] == [
        ("broken", "4", "UNAVAILABLE"),
        ("coming", "4", "LOADING"),
        ("m", "4", "READY"),
    ]
    assert rows[0]["reason"] == "version 4 could not be loaded."
    ready = http.post("/repository/index", json={"ready": True}).json()
    assert [row["name"] for row in ready] == ["m"]
    assert http.post("/repository/index", json=[]).status_code == 400


def test_load_waits_for_an_endpoint_and_unload_is_refused(http: TestClient) -> None:
    assert http.post("/repository/models/m/load").status_code == 200
    assert http.post("/repository/models/m/load", json={"parameters": {}}).status_code == 200
    assert http.post("/repository/models/nope/load").status_code == 404
    refused = http.post("/repository/models/m/unload")
    assert (refused.status_code, "deleted" in refused.json()["error"]) == (501, True)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/repository/index", {"ready": "false"}, 400),
        ("/repository/models/m/load", {"parameters": {"config": "{}"}}, 501),
        ("/repository/models/m/load", "no object", 400),
    ],
)
def test_what_an_extension_cannot_do_is_refused(
    http: TestClient, path: str, body: Any, status: int
) -> None:
    assert http.post(path, json=body).status_code == status


def test_statistics_of_a_version_that_never_was_are_404(http: TestClient) -> None:
    assert http.get("/models/m/versions/99/stats").status_code == 404


def test_statistics_of_what_nobody_asked_yet_are_zeros(http: TestClient) -> None:
    for path in ("/models/m/stats", "/models/m/versions/4/stats"):
        (row,) = http.get(path).json()["model_stats"]
        assert (row["name"], row["version"], row["inference_count"]) == ("m", "4", 0)
        assert row["inference_stats"]["success"] == {"count": 0, "ns": 0}


@pytest.mark.parametrize(
    "output", [{"name": "lenght"}, {"name": "length", "parameters": {"classification": 1}}]
)
def test_what_cannot_be_told_is_not_computed(
    http: TestClient, pool: FakePool, recorder: Recorder, output: dict[str, Any]
) -> None:
    pool.try_out("shadow", 1.0)
    text = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["boom"]}
    answer = http.post("/models/m/infer", json={"inputs": [text], "outputs": [output]})
    assert answer.status_code == 400, "the model would break"
    assert f"utput '{output['name']}'" in answer.json()["error"]
    assert (recorder.records[-1].told, recorder.shadows) == (None, [])


def test_a_server_that_stops_says_so_where_it_is_not_ready(
    http: TestClient, pool: FakePool
) -> None:
    assert "stopping" not in http.get("/health/ready").json()
    pool.ready, pool.stopping = False, True  # type: ignore[misc]
    answer = http.get("/health/ready")
    assert (answer.status_code, answer.json()["stopping"]) == (503, True)


def test_many_wrong_tensors_are_told_in_short(http: TestClient) -> None:
    names = [f"{number:0>60}" for number in range(500)]
    tensors = [{"name": n, "shape": [1], "datatype": "BYTES", "data": ["a"]} for n in names[:40]]
    answer = http.post("/models/m/infer", json={"inputs": tensors})
    assert answer.status_code in (400, 413)
    assert len(answer.json()["error"]) < 1000


def test_configuration_has_every_axis(http: TestClient) -> None:
    found = http.get("/models/m/config").json()
    assert (found["max_batch_size"], found["platform"]) == (0, "onnx_onnxv1")
    assert found["input"] == [{"name": "text", "data_type": "TYPE_STRING", "dims": [-1]}]
    assert found["output"] == [{"name": "length", "data_type": "TYPE_INT64", "dims": [-1]}]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br, deflate", "deflate"),
        ("gzip;q=0, deflate;q=0.5", "deflate"),
        ("identity", None),
    ],
)
def test_a_long_answer_is_compressed_as_the_client_accepts(
    http: TestClient, accepted: str, encoding: str | None
) -> None:
    texts = [str(number) for number in range(200)]
    asked = {"inputs": texts}
    answer = http.post("/models/m/predict", json=asked, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert [row["length"] for row in answer.json()["predictions"]] == [len(t) for t in texts]
    short = http.post("/models/m/predict", json={"inputs": ["a"]})
    assert "content-encoding" not in short.headers


def test_a_large_answer_is_compressed_beside_the_event_loop(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        return compressed(*given)

    monkeypatch.setattr("regraft.serving.asked.compressed", noted)
    for size in (LARGE // 2, LARGE):
        monkeypatch.setattr(Task, "answers", lambda _, tensors, size=size: ["a" * size])
        assert http.post("/models/m/predict", json={"inputs": ["a"]}).status_code == 200
    assert [name.startswith("asyncio_") for name in threads] == [False, True]


def test_a_request_is_known_by_its_id(http: TestClient, recorder: Recorder) -> None:
    asked = {"inputs": ["a"]}
    given = http.post("/models/m/predict", json=asked, headers={"X-Request-Id": "mine"})
    assert given.json()["id"] == "mine"
    made = http.post("/models/m/predict", json=asked, headers={"X-Request-Id": "x" * 129})
    assert len(made.json()["id"]) == 16
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}
    inside = http.post("/models/m/infer", json={"id": "in\u00e9 body", "inputs": [tensor]})
    assert inside.json()["id"] == "in\u00e9 body"
    known = [record.id for record in recorder.records]
    assert known == ["mine", made.json()["id"], "in\u00e9 body"]


def versions(http: TestClient, ids: list[str]) -> list[str]:
    asked = {"inputs": ["a"]}
    headers = [{"X-Request-Id": one} for one in ids]
    answers = [http.post("/models/m/predict", json=asked, headers=one) for one in headers]
    return [answer.json()["version"] for answer in answers]


def test_a_canary_answers_its_share_and_the_same_requests_again(
    http: TestClient, pool: FakePool
) -> None:
    ids = [f"request {number}" for number in range(200)]
    pool.try_out("canary", 0.1)
    first = versions(http, ids)
    assert 8 <= first.count("5") <= 36
    assert versions(http, ids) == first
    pool.try_out("canary", 0.5)
    more = versions(http, ids)
    assert all(now == "5" for now, then in zip(more, first, strict=True) if then == "5")
    assert 70 <= more.count("5") <= 130


def test_a_version_that_is_tried_answers_who_names_it(http: TestClient, pool: FakePool) -> None:
    pool.try_out("shadow", 1.0)
    asked = {"inputs": ["a"]}
    assert http.post("/models/m/versions/5/predict", json=asked).json()["version"] == "5"
    assert http.get("/models/m").json()["versions"] == ["4", "5"]
    assert http.post("/models/m/versions/6/predict", json=asked).status_code == 404


def test_a_shadow_is_asked_copies_and_never_heard(
    http: TestClient, pool: FakePool, recorder: Recorder
) -> None:
    pool.try_out("shadow", 1.0)
    http.post("/models/m/versions/5/predict", json={"inputs": ["not compared with itself"]})
    for text in ("a", "odd"):
        answer = http.post("/models/m/predict", json={"inputs": [text, "b"]})
        assert (answer.status_code, answer.json()["version"]) == (200, "4")
    end = time.monotonic() + 5
    while len(recorder.shadows) < 2 and time.monotonic() < end:
        http.get("/health/live")
    seen = {(one.version, one.rows, one.agreed) for one in recorder.shadows}
    assert (seen, len(recorder.shadows)) == ({("5", 2, 2.0), ("5", 2, None)}, 2)


def test_the_same_rows_are_answered_from_what_was_kept(
    pool: FakePool, recorder: Recorder, tmp_path: Path
) -> None:
    batcher = FakeBatcher()
    statistics = Statistics(tmp_path)
    watchers = Watchers(Several(recorder, statistics), statistics)
    parts: Any = (pool, batcher, watchers, Caps(999, 999, answers=9999), "9")
    client = TestClient(build_app(Inference(*parts)))
    answers = [client.post("/models/m/predict", json={"inputs": [t]}) for t in ("a", "bb", "a")]
    found = [answer.json()["predictions"] for answer in answers]
    assert found == [[{"length": 1}], [{"length": 2}], [{"length": 1}]]
    assert [record.cached for record in recorder.records] == [False, False, True]
    client.post("/models/m/predict", json={"inputs": ["full"]})
    pool.served["m"] = Served(version(6))
    client.post("/models/m/predict", json={"inputs": ["a"]})
    assert recorder.records[-1].cached is False, "another version says something else"
    counts = statistics.total()[0]["inference_stats"]
    assert (counts["cache_hit"]["count"], counts["cache_miss"]["count"]) == (1, 3)


def test_a_request_whose_client_leaves_is_dropped_and_counted_as_such(
    pool: FakePool, recorder: Recorder, tmp_path: Path
) -> None:
    async def scenario() -> None:
        gone, batcher, sent = asyncio.Event(), StuckBatcher(), []
        parts: Any = (pool, batcher, Watchers(recorder, Statistics(tmp_path)), Caps(99, 99), "9")
        messages = [{"type": "http.request", "body": b'{"inputs": ["a"]}', "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        path = "/models/m/predict"
        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
        answering = asyncio.create_task(build_app(Inference(*parts))(scope, receive, send))
        await asyncio.wait_for(batcher.asked.wait(), 5)
        gone.set()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(answering), 5)
        assert sent == []

    asyncio.run(scenario())
    assert [record.status for record in recorder.records] == [499]
