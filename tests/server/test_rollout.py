"""Endpoints are tried, placed and judged while they answer."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import psutil
import pytest

from benchmarks.processes import instance_processes
from regraft.client import Client
from regraft.domain import Placement
from regraft.serving.grpc_messages import INFERENCE, MESSAGES
from tests.server.conftest import Server
from tests.server.load import by_http_client, loaded, predict_body
from tests.server.processes import wait_until

pytestmark = pytest.mark.ray
OWN = Placement(placement="dedicated", min_replicas=0, max_replicas=1, cpus=0.1, idle_seconds=2)


def publish(server: Server, name: str, versions: int = 1) -> None:
    published = server.registry.models.version("tiny")
    for number in range(versions):
        summary = {**published.summary, "adaptation": f"a-{number}"}
        server.registry.models.publish(name, published.manifest, summary, promote=True)


def own_replicas(server: Server, name: str) -> list[psutil.Process]:
    found = []
    for process in instance_processes(server.home.root):
        try:
            if f"ServeReplica:endpoint-{name}" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def answers_of(server: Server, name: str) -> dict[int, int]:
    """How many rows of this endpoint each process answered."""
    found = {}
    for path in server.home.statistics.glob("*.jsonl"):
        counted = map(json.loads, path.read_text().splitlines())
        rows = [row for row in counted if row["name"] == name]
        if rows:
            found[int(path.name.split("-")[0])] = sum(row["inference_count"] for row in rows)
    return found


def ask_by_grpc(server: Server, name: str) -> str:
    message = MESSAGES["ModelInferRequest"](model_name=name)
    message.inputs.add(name="text", datatype="BYTES", shape=[1])
    message.inputs[0].contents.bytes_contents.append(b"fine")
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary(
            f"/{INFERENCE}.GRPCInferenceService/ModelInfer",
            request_serializer=MESSAGES["ModelInferRequest"].SerializeToString,
            response_deserializer=MESSAGES["ModelInferResponse"].FromString,
        )
        return str(call(message, timeout=30).model_name)


def is_placed(client: Client, name: str, placed: bool) -> Callable[[], bool]:
    return lambda: client.endpoint(name)["placement"]["placed"] is placed


def test_an_endpoint_moves_to_replicas_of_its_own_and_back_without_a_failure(
    server: Server,
) -> None:
    publish(server, "own")
    path, body = "/v2/models/own/predict", predict_body("fine")
    sender = by_http_client(server.url, path, body)
    with server.client() as client:
        with loaded([sender], 10) as tally:
            client.place("own", OWN.model_copy(update={"min_replicas": 1}))
            (replica,) = wait_until(lambda: own_replicas(server, "own"), 60, "a replica")
            wait_until(is_placed(client, "own", True), 120, "replicas of its own")
            assert own_replicas(server, "own") == [replica], "which only moved to its path"
            client.place("own", OWN)
            assert replica.is_running()
        assert tally.failures == []
        assert httpx.get(f"{server.url}/v2/models/own").json()["name"] == "own"
        wait_until(lambda: not own_replicas(server, "own"), 60, "no replica while nobody asks")
        before = answers_of(server, "own")
        assert before[replica.pid] > 0
        assert sum(before.values()) == tally.answered, before
        assert ask_by_grpc(server, "own") == "own"
        (another,) = own_replicas(server, "own")
        after = {**before, another.pid: 1}
        wait_until(lambda: answers_of(server, "own") == after, 10, "gRPC went there too")
        wait_until(lambda: not own_replicas(server, "own"), 60, "none again")
        assert httpx.post(f"{server.url}{path}", content=body, timeout=60).status_code == 200

        with loaded([sender], 10) as tally:
            client.place("own", Placement())
            wait_until(lambda: not own_replicas(server, "own"), 60, "the pool answers again")
        assert tally.failures == []
        assert client.endpoint("own")["placement"]["placed"] is False


def test_a_true_label_is_joined_with_what_was_predicted(server: Server) -> None:
    publish(server, "judged")
    asked = {"inputs": ["fine", "bad"]}
    url = f"{server.url}/v2/models/judged/predict"
    answer = httpx.post(url, json=asked, headers={"X-Request-Id": "r-1"}, timeout=30).json()
    labels = [
        {"id": "r-1", "row": 0, "label": answer["predictions"][0]["label"]},
        {"id": "r-1", "row": 1, "label": "something else"},
    ]
    with server.client() as client:
        assert client.feedback("judged", labels)["kept"] == 2

        def judged() -> Any:
            return [row for row in client.live("judged") if row["judged"] == 2]

        (row,) = wait_until(judged, 15, "both labels joined")
    assert row["accuracy"]["value"] == 0.5


def test_a_shadow_is_compared_and_a_canary_answers_its_share(server: Server) -> None:
    publish(server, "tried", versions=2)
    url = f"{server.url}/v2/models/tried/predict"

    def answer(identifier: str) -> str:
        headers = {"X-Request-Id": identifier}
        found = httpx.post(url, json={"inputs": ["fine"]}, headers=headers, timeout=30)
        return str(found.json()["version"])

    with server.client() as client:
        client.try_out("tried", 1, "shadow", 1.0, force=True)

        def compared() -> Any:
            assert answer("any") == "2"
            return [row for row in client.live("tried") if row["shadow"]]

        (row,) = wait_until(compared, 20, "copies")
        assert (row["version"], row["shadow"]["agreement"], row["shadow"]["failed"]) == (1, 1, 0)
        client.try_out("tried", 1, "canary", 0.5, force=True)
        ids = [f"r{number}" for number in range(20)]
        wait_until(lambda: {answer(one) for one in ids} == {"1", "2"}, 10, "both versions")
        assert client.roll_back("tried")["trial"] is None
        wait_until(lambda: {answer(one) for one in ids} == {"2"}, 10, "one version again")
