"""What is wrong with a request is said as `{"error": …}` with the right status."""

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.processes import PeakMemory
from tests.server.conftest import Server
from tests.server.processes import MOST_GROWTH, MOST_SECONDS

pytestmark = pytest.mark.ray
INFER = "/v2/models/tweets/infer"
LENGTH = "Inference-Header-Content-Length"
PREDICT = "/v2/models/tweets/predict"


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def tensor(**changes: Any) -> dict[str, Any]:
    text = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["fine"]}
    return {"inputs": [{**text, **changes}]}


def binary(size: int) -> dict[str, Any]:
    """A tensor whose data are to follow."""
    text = {"name": "text", "shape": [1], "datatype": "BYTES"}
    return {"inputs": [{**text, "parameters": {"binary_data_size": size}}]}


MALFORMED = [
    ("not JSON", "POST", INFER, b"{", {}, 400),
    ("no inputs", "POST", INFER, {"inputs": []}, {}, 400),
    ("unknown tensor", "POST", INFER, tensor(name="words"), {}, 400),
    ("wrong data type", "POST", INFER, tensor(datatype="INT64", data=[1]), {}, 400),
    ("shape without its data", "POST", INFER, tensor(shape=[3]), {}, 400),
    ("negative dimension", "POST", INFER, tensor(shape=[-1]), {}, 400),
    ("shape that overflows", "POST", INFER, tensor(shape=[2**62, 2**62]), {}, 400),
    ("unknown output", "POST", INFER, {**tensor(), "outputs": [{"name": "x"}]}, {}, 400),
    ("header length", "POST", INFER, tensor(), {"Inference-Header-Content-Length": "9999"}, 400),
    ("deep nesting", "POST", INFER, b"[" * 1000 + b"]" * 1000, {}, 400),
    ("NaN", "POST", PREDICT, b'{"inputs": [NaN]}', {}, 400),
    ("inputs that are no texts", "POST", PREDICT, {"inputs": [1]}, {}, 400),
    ("no rows", "POST", PREDICT, {"inputs": []}, {}, 400),
    ("unknown field", "POST", PREDICT, {"inputs": ["a"], "extra": 1}, {}, 400),
    ("a text beyond the cap", "POST", PREDICT, {"inputs": ["a" * 100_001]}, {}, 413),
    ("unknown endpoint", "POST", "/v2/models/nope/infer", tensor(), {}, 404),
    ("unknown version", "POST", "/v2/models/tweets/versions/99/infer", tensor(), {}, 404),
    ("unknown path", "GET", "/v2/nothing/here", None, {}, 404),
    ("wrong method", "GET", INFER, None, {}, 405),
    ("unknown encoding", "POST", INFER, b"x", {"Content-Encoding": "br"}, 415),
    ("broken gzip", "POST", INFER, b"x", {"Content-Encoding": "gzip"}, 400),
    ("a number beyond any", "POST", PREDICT, b'{"inputs": [1e999]}', {}, 400),
    ("a number of 5,000 digits", "POST", PREDICT, b'{"inputs": [' + b"9" * 5000 + b"]}", {}, 400),
    ("Infinity", "POST", INFER, b'{"inputs": Infinity}', {}, 400),
    ("a key twice", "POST", PREDICT, b'{"inputs": ["a"], "inputs": ["b"]}', {}, 400),
    ("half a surrogate pair", "POST", PREDICT, b'{"inputs": ["\\ud800"]}', {}, 400),
    ("bytes that are no UTF-8", "POST", PREDICT, b'{"inputs": ["\xff"]}', {}, 400),
    ("more after its end", "POST", PREDICT, b'{"inputs": ["a"]} {}', {}, 400),
    ("an array", "POST", INFER, b"[]", {}, 400),
    ("null", "POST", INFER, b"null", {}, 400),
    ("inputs that are null", "POST", INFER, {"inputs": None}, {}, 400),
    ("shape of texts", "POST", INFER, tensor(shape=["1"]), {}, 400),
    ("shape of fractions", "POST", INFER, tensor(shape=[1.0]), {}, 400),
    ("shape of truth", "POST", INFER, tensor(shape=[True]), {}, 400),
    ("shape of 2 to the 64", "POST", INFER, tensor(shape=[2**64]), {}, 400),
    ("shape of a hundred axes", "POST", INFER, tensor(shape=[1] * 100), {}, 400),
    ("data that are an object", "POST", INFER, tensor(data={"a": 1}), {}, 400),
    ("an unknown data type", "POST", INFER, tensor(datatype="FP7"), {}, 400),
    ("a tensor twice", "POST", INFER, {"inputs": tensor()["inputs"] * 2}, {}, 400),
    ("binary of less than nothing", "POST", INFER, binary(-1), {}, 400),
    ("binary that is not there", "POST", INFER, binary(2**40), {}, 400),
    ("a header of less than nothing", "POST", INFER, tensor(), {LENGTH: "-1"}, 400),
    ("a header of letters", "POST", INFER, tensor(), {LENGTH: "ten"}, 400),
]


@pytest.mark.parametrize(("what", "method", "path", "body", "headers", "status"), MALFORMED)
def test_is_refused_in_the_protocols_form(
    http: httpx.Client, what: str, method: str, path: str, body: Any, headers: Any, status: int
) -> None:
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    answer = http.request(method, path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert list(document) == ["error"]
    assert document["error"]


def test_a_body_over_the_cap_is_refused_before_it_is_read_whole(http: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(70):
            yield b" " * 2**20

    answer = http.post(INFER, content=chunks())
    assert answer.status_code == 413
    assert "67,108,864" in answer.json()["error"]


def test_a_bomb_is_refused_in_time_and_takes_no_more_than_a_body_may(
    http: httpx.Client, server: Server
) -> None:
    """1 GiB of zeros in 1 MiB."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(bytes(2**20)) for _ in range(1024)]
    bomb = b"".join([*pieces, packer.flush()])
    memory, begin = PeakMemory(server.home.root), time.monotonic()
    answer = http.post(INFER, content=bomb, headers={"Content-Encoding": "gzip"})
    assert time.monotonic() - begin < MOST_SECONDS
    assert (answer.status_code, len(bomb) < 2**21) == (413, True)
    print(f"{memory.growth() / 2**20:.0f} MiB")
    assert memory.growth() < 1.5 * MOST_GROWTH


def test_gzip_is_understood(http: httpx.Client) -> None:
    body = gzip.compress(json.dumps(tensor()).encode())
    answer = http.post(INFER, content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["name"] == "label"


def test_unknown_path_outside_the_protocol_is_json_too(http: httpx.Client) -> None:
    answer = http.get("/nothing")
    assert answer.status_code == 404
    assert answer.json()["status"] == 404
