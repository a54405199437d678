"""What a replica leaves behind when it ends."""

from pathlib import Path

from starlette.testclient import TestClient

from regraft.registry.home import Home
from regraft.serving.batcher import Limits
from regraft.serving.metrics import summed
from regraft.serving.replica import ReplicaOptions, serving


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
