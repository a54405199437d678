"""What a replica leaves behind when it ends."""

import json
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.home import Home
from regraft.registry.store import Registry
from regraft.serving.metrics import summed
from regraft.serving.predictions import Predictions
from regraft.serving.replica import ReplicaOptions, serving, written
from regraft.serving.telemetry import RequestRecord, Told
from regraft.serving.waiting import Limits


def test_what_it_saw_last_is_written_down(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    options = ReplicaOptions(home.root, 1, Limits(8, 64), 10**6, 10**6, poll_interval=60)
    with TestClient(serving(options).http, raise_server_exceptions=False) as client:
        for _ in range(3):
            assert client.post("/v2/models/none/predict", json={"inputs": [1]}).status_code == 404
    counted = summed(home.statistics)
    assert [count for (family, _), count in counted.items() if family == "regraft_requests"] == [
        [3]
    ]


def test_what_cannot_be_written_keeps_nothing_else_from_it(tmp_path: Path) -> None:
    kept, done = Predictions(tmp_path), []
    texts = np.array(["a text", b"bytes"], object)
    kept.request(RequestRecord("m", "1", 2, 200, 0.1, "r", Told(texts, None)))

    kept.request(RequestRecord("m", "1", 1, 400, 0.1, "s", Told(texts[:1], None)))

    def broken() -> None:
        raise ValueError("what a plugin says may be anything")

    written([broken, kept.write, lambda: done.append(1)])
    rows = [json.loads(line) for path in tmp_path.iterdir() for line in path.open()]
    assert [row["label"] for row in rows] == ["a text", "bytes"]
    assert done == [1]


def test_a_caller_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    key = registry.keys.create(NewKey(name="a-key", scopes=[Scope.PREDICT]))["key"]
    limits = (Limits(8, 64), 10**6, 10**6)
    options = ReplicaOptions(registry.home.root, 1, *limits, 60, auth=True, rate=2)
    headers = {"authorization": f"Bearer {key}"}
    with TestClient(serving(options).http) as client:
        answers = [client.get("/v2/models/none", headers=headers) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [404] * 5 + [429] * 3
        assert answers[-1].headers["retry-after"] == "1"
        assert client.get("/v2/health/ready").status_code == 200
