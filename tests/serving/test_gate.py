"""Who may ask a replica, over HTTP and gRPC."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from regraft.errors import NotReadyError, UnknownNameError
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.endpoint_table import Route as Endpoint
from regraft.registry.store import Registry
from regraft.serving.gate import PUBLIC
from regraft.serving.grpc_messages import MESSAGES
from regraft.serving.grpc_service import SERVICES, GRPCService
from regraft.serving.http import build_app
from regraft.serving.inference import Caps, Inference, Watchers
from regraft.serving.rollout import Served
from regraft.serving.statistics import Statistics
from regraft.serving.telemetry import RequestRecord, Silent


class Pool:
    """Two endpoints, each of a project of its own; none can answer, which is told as 503."""

    def __init__(self) -> None:
        self.ready, self.missing, self.only, self.stopping = True, (), None, False
        self.failures: dict[str, Any] = {}
        self.served: dict[str, Served] = {}
        names = ("ours", "theirs")
        self.routes = {name: Endpoint(name, 1, "m", project=name) for name in names}

    async def waited_for(self, name: str) -> Served:
        if name in self.routes:
            raise NotReadyError(f"'{name}' is loading.")
        raise UnknownNameError("endpoint", name, self.routes)

    def failure(self, name: str) -> None:
        return None


class Recorded(Silent):
    """Keeps the records of requests."""

    def __init__(self) -> None:
        self.requests: list[RequestRecord] = []

    def request(self, record: RequestRecord) -> None:
        self.requests.append(record)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


@pytest.fixture
def key(registry: Registry) -> Callable[..., str]:
    def made(*scopes: Scope, project: str = "ours", days: float | None = None) -> str:
        wanted = NewKey(name="a-key", project=project, scopes=scopes, days=days)
        return f"Bearer {registry.keys.create(wanted)['key']}"

    return made


@pytest.fixture
def told() -> Recorded:
    return Recorded()


@pytest.fixture
def inference(registry: Registry, told: Recorded, tmp_path: Path) -> Inference:
    watchers = Watchers(told, Statistics(tmp_path / "statistics"))
    pool: Any = Pool()
    batcher: Any = SimpleNamespace()
    known = registry.keys.authenticator()
    return Inference(pool, batcher, watchers, Caps(1000, 1000), "0", known)


@pytest.fixture
def http(inference: Inference) -> TestClient:
    return TestClient(build_app(inference), raise_server_exceptions=False)


def routes(http: TestClient) -> list[tuple[str, str]]:
    """Method and path of everything that is there, for the endpoint `ours`."""
    app: Any = http.app
    inner = app.app.app.app
    found = []
    for route in inner.routes:
        assert isinstance(route, Route)
        path = route.path.format(name="ours", version="1")
        found += [(method, path) for method in route.methods or () if method != "HEAD"]
    return found


def test_nothing_but_health_answers_without_a_good_key(
    http: TestClient, key: Callable[..., str], registry: Registry
) -> None:
    revoked = key(Scope.PREDICT)
    registry.keys.revoke(revoked.split("_")[1])
    bad = [None, "Bearer x", "Basic x", key(Scope.ADMIN, days=1e-9), revoked]
    asked = routes(http)
    assert len(asked) > 15
    for method, path in asked:
        for mount in ("", "/v2"):
            for value in bad:
                headers = {} if value is None else {"authorization": value}
                answer = http.request(method, f"{mount}{path}", headers=headers)
                if path in PUBLIC:
                    assert answer.status_code == 200
                else:
                    assert answer.status_code == 401, (method, path, value)
                    assert answer.headers["www-authenticate"] == "Bearer"
                    assert "API key" in answer.json()["error"]


def test_everything_needs_the_scope(http: TestClient, key: Callable[..., str]) -> None:
    others = [scope for scope in Scope if scope not in (Scope.PREDICT, Scope.ADMIN)]
    wrong, right = key(*others), key(Scope.PREDICT)
    for method, path in routes(http):
        if path not in PUBLIC:
            for value, refused in ((wrong, True), (right, False)):
                answer = http.request(method, path, headers={"authorization": value})
                assert (answer.status_code in (401, 403)) == refused, (method, path)


def test_what_is_another_projects_is_as_unknown_as_what_is_not(
    http: TestClient, key: Callable[..., str]
) -> None:
    headers = {"authorization": key(Scope.PREDICT, project="ours")}
    for method, path in routes(http):
        if "/models/ours" in path:
            there = http.request(method, path, headers=headers, json={})
            assert there.status_code != 404, path
            texts = []
            for name in ("theirs", "nosuch"):
                answer = http.request(method, path.replace("ours", name), headers=headers, json={})
                assert answer.status_code == 404, path
                texts.append(answer.json()["error"].replace(name, "NAME"))
            assert texts[0] == texts[1]
            assert texts[0].endswith("Known: ours.")


def test_lists_hold_the_projects_own(http: TestClient, key: Callable[..., str]) -> None:
    for scope, names in ((Scope.PREDICT, ["ours"]), (Scope.ADMIN, ["ours", "theirs"])):
        headers = {"authorization": key(scope)}
        rows = http.post("/repository/index", headers=headers).json()
        assert [row["name"] for row in rows] == names


def test_health_names_no_endpoint(http: TestClient) -> None:
    assert http.get("/health/ready").json() == {"live": True, "ready": True}


def test_metrics_do_not_hold_what_others_ask_of_an_endpoint(
    http: TestClient, key: Callable[..., str], told: Recorded
) -> None:
    headers = {"authorization": key(Scope.PREDICT, project="ours")}
    for name in ("theirs", "ours"):
        http.post(f"/models/{name}/infer", headers=headers, json={})
    assert [record.name for record in told.requests] == ["unknown", "ours"]


class Context:
    """What gRPC gives a method, and what the method said of the outcome."""

    def __init__(self, authorization: str | None) -> None:
        self.authorization = authorization
        self.code: Any = None

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [] if self.authorization is None else [("authorization", self.authorization)]

    def trailing_metadata(self) -> list[tuple[str, str]]:
        return []

    def set_code(self, code: Any) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        pass


def code(inference: Inference, method: str, authorization: str | None, **given: str) -> Any:
    kind = "HealthCheckRequest" if method == "Check" else f"{method}Request"
    context = Context(authorization)
    asyncio.run(GRPCService(inference, local=True).call(method, MESSAGES[kind](**given), context))
    return context.code


METHODS = {
    "ServerMetadata": {},
    "ModelReady": {"name": "ours"},
    "ModelMetadata": {"name": "ours"},
    "ModelInfer": {"model_name": "ours"},
    "Check": {"service": "ours"},
}


def test_every_method_is_here() -> None:
    named = {name for names in SERVICES.values() for name in names}
    assert named == METHODS.keys() | {"ServerLive", "ServerReady"}


@pytest.mark.parametrize("method", METHODS)
def test_grpc_lets_in_whom_http_lets_in(
    inference: Inference, key: Callable[..., str], method: str
) -> None:
    given = METHODS[method]
    status = grpc.StatusCode
    assert code(inference, method, None, **given) == status.UNAUTHENTICATED
    assert code(inference, method, "Bearer x", **given) == status.UNAUTHENTICATED
    wrong = key(Scope.MODELS_READ)
    assert code(inference, method, wrong, **given) == status.PERMISSION_DENIED
    right = code(inference, method, key(Scope.PREDICT), **given)
    assert right not in (status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.NOT_FOUND)
    if given:
        other = key(Scope.PREDICT, project="theirs")
        assert code(inference, method, other, **given) == status.NOT_FOUND


@pytest.mark.parametrize("method", ["ServerLive", "ServerReady", "Check"])
def test_grpc_health_is_for_everybody(inference: Inference, method: str) -> None:
    assert code(inference, method, None) is None
