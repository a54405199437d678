"""Versions appear while the server runs, whoever publishes them."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from benchmarks.processes import replicas
from regraft.domain import JSON, ModelVersion
from regraft.registry.manifest import Manifest
from tests.server.conftest import Server
from tests.server.load import by_http_client, loaded, predict_body
from tests.server.processes import wait_until

pytestmark = pytest.mark.ray
PATH = "/v2/models/moving/predict"


def summary(version: ModelVersion) -> JSON:
    """Without its adaptation, which makes one version at most."""
    return {key: value for key, value in version.summary.items() if key != "adaptation"}


def served_version(server: Server, name: str) -> str:
    body = {"inputs": ["fine"]}
    answer = httpx.post(f"{server.url}/v2/models/{name}/predict", json=body, timeout=30)
    return str(answer.json().get("version"))


def test_a_new_name_answers_at_once(server: Server) -> None:
    published = server.registry.models.version("tiny")
    server.registry.models.publish("sudden", published.manifest, summary(published), promote=True)
    assert served_version(server, "sudden") == "1"


def test_a_new_version_answers_without_a_failure_or_a_restart(server: Server) -> None:
    """How soon it does is measured by `benchmarks.rollout`."""
    models = server.registry.models
    tiny, tweets = models.version("tiny"), models.version("tweets")
    models.publish("moving", tiny.manifest, summary(tiny), promote=True)
    before = wait_until(lambda: _both(server), 60, "two replicas")
    sender = by_http_client(server.url, PATH, predict_body("fine"))
    with loaded([sender, sender], 20) as tally:
        for manifest, version in ((tweets.manifest, "2"), (tiny.manifest, "3")):
            models.publish("moving", manifest, summary(tiny), promote=True)
            wait_until(lambda v=version: _all_answer(server, "moving", v), 30, f"version {version}")
    assert tally.failures == []
    assert _both(server) == before


def _both(server: Server) -> list[int]:
    found = sorted(process.pid for process in replicas(server.home.root))
    return found if len(found) == 2 else []


def _all_answer(server: Server, name: str, version: str) -> bool:
    """Eight that ask at a time reach both replicas; one after another might all reach one."""
    with ThreadPoolExecutor(8) as pool:
        return all(pool.map(lambda _: served_version(server, name) == version, range(40)))


def test_promote_and_rollback_move_the_endpoint(server: Server) -> None:
    models = server.registry.models
    tweets = models.version("tweets")
    for _ in range(2):
        models.publish("back", tweets.manifest, summary(tweets), promote=True)
    with server.client() as client:
        assert client.roll_back("back")["version"] == 1
        wait_until(_answers(server, "back", "1"), 5, "version 1 after the rollback")
        assert client.promote("back", 2)["version"] == 2
        wait_until(_answers(server, "back", "2"), 5, "version 2 after the promotion")


def _answers(server: Server, name: str, version: str) -> Callable[[], bool]:
    return lambda: served_version(server, name) == version


def test_a_damaged_version_leaves_the_old_one_serving(server: Server) -> None:
    """One whose manifest is none, then one whose graph is none."""
    models, blobs = server.registry.models, server.home.blobs
    tweets = models.version("tweets")
    models.publish("tough", tweets.manifest, summary(tweets), promote=True)
    wait_until(lambda: _all_answer(server, "tough", "1"), 10, "both replicas with version 1")
    whole = Manifest.load(tweets.manifest.sha256, blobs)
    graph = whole.model_copy(update={"backbone": blobs.put(b"no graph"), "variant": None})
    sender = by_http_client(server.url, "/v2/models/tough/predict", predict_body("fine"))
    with loaded([sender] * 2, 20) as tally:
        for broken in (blobs.put(b'{"format": 1, "nonsense": true}'), graph.store(blobs)):
            published = models.publish("tough", broken, summary(tweets), promote=True)
            wait_until(lambda: _failed(server, "tough"), 10, "a replica to have tried it")
            time.sleep(1)
            assert served_version(server, "tough") == "1"
            assert published.version > 1
            models.promote("tough", 1)
    assert tally.failures == []


def test_a_replica_that_never_had_the_version_before_a_damaged_one_answers_with_it(
    server: Server,
) -> None:
    """Both are published between two looks of a replica at the table."""
    models, tweets = server.registry.models, server.registry.models.version("tweets")
    models.publish("late", tweets.manifest, summary(tweets), promote=True)
    broken = server.home.blobs.put(b'{"format": 1, "nonsense": true}')
    models.publish("late", broken, summary(tweets), promote=True)
    wait_until(lambda: _all_answer(server, "late", "1"), 10, "both replicas with version 1")
    assert _failed(server, "late")
    models.promote("late", 1)


def _failed(server: Server, name: str) -> bool:
    """Whether a replica tells why the version that should answer does not."""
    return name in httpx.get(f"{server.url}/v2/health/ready").json().get("failed", {})
