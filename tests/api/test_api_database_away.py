"""A real PostgreSQL stops: replicas do not care, and who changes something is to come back."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from benchmarks.postgres import killed, started, url
from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.serving.replica import ReplicaOptions, serving
from regraft.serving.waiting import Limits
from regraft.settings import Settings
from tests.api.conftest import Site


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_predictions_go_on_and_changes_are_told_to_come_back(
    folder: Path, tmp_path: Path, plugins: Plugins
) -> None:
    process = started(folder)
    try:
        site = Site(Registry(tmp_path, url(folder)), plugins, Settings(home=tmp_path))
        site.publish()
        data = site.upload()
        options = ReplicaOptions(tmp_path, 1, Limits(8, 64), 10**6, 10**6, 60)
        with TestClient(serving(options).http) as replica:
            killed(process)
            for ask in (
                lambda: site.submit(data=data),
                lambda: site.http.get("/v1/models"),
                lambda: site.http.post("/v1/endpoints/tweets/rollback", json={"from": 1}),
                lambda: site.http.post("/v1/datasets?filename=a.csv", content=b"x"),
            ):
                answer = ask()
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert site.http.get("/v1/health").status_code == 200
            assert replica.get("/v2/models/tweets").status_code == 503  # known, if not whole
        process = started(folder)
        assert site.submit(data=data).status_code == 202
        assert len(site.http.get("/v1/models").json()["items"]) == 1
    finally:
        killed(process)
