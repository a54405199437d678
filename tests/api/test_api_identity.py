"""Every route asks who is calling, and shows no project what is another's."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from regraft.api.app import ROUTERS, check_guarded
from regraft.api.services import Allowed
from regraft.identity.keys import ApiKey
from regraft.identity.scopes import Scope
from tests.api.routes import asked, filled

OWNED = ("/v1/adaptations/{", "/v1/models/{", "/v1/endpoints/{", "/v1/datasets/{", "/v1/uploads/{")


@pytest.fixture
def site(open_site: Callable[..., Any]) -> Any:
    return filled(open_site(auth=True))


def scope_of(route: APIRoute) -> Scope | None:
    calls = [one.call for one in route.dependant.dependencies]
    (allowed,) = [call for call in calls if isinstance(call, Allowed)]
    return allowed.scope


def test_no_route_answers_without_a_good_key(site: Any) -> None:
    expired = site.key(Scope.ADMIN, days=1e-9)
    revoked = site.key(Scope.ADMIN)
    site.registry.keys.revoke(revoked.split("_")[1])
    routes = list(asked(site))
    assert len(routes) > 25
    for name, _, ask in routes:
        for key in (None, "nonsense", str(ApiKey.new()), expired, revoked):
            answer = ask(key)
            assert answer.status_code == 401, (name, key)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["title"] == "Unauthorized"


def test_every_route_needs_its_own_scope(site: Any) -> None:
    for name, route, ask in asked(site):
        scope = scope_of(route)
        others = [one for one in Scope if one not in (scope, Scope.ADMIN)]
        status = ask(site.key(*others)).status_code
        assert (status == 403) == (scope is not None), name


def test_who_has_the_scope_is_let_in(site: Any) -> None:
    for name, route, ask in asked(site):
        scope = scope_of(route)
        keys = [site.key(scope or Scope.PREDICT), site.key(Scope.ADMIN)]
        for key in keys[:1] if "DELETE" in route.methods else keys:
            status = ask(key).status_code
            assert status not in (401, 403), name
            assert status < 500, name
            if "keys/{" not in route.path:
                assert status != 404, name


def test_what_is_another_projects_is_not_found(site: Any) -> None:
    found = [(n, r, ask) for n, r, ask in asked(site) if r.path.startswith(OWNED)]
    assert len(found) > 12
    for name, route, ask in found:
        body_comes_first = ask(site.key(scope_of(route) or Scope.PREDICT)).status_code == 422
        status = ask(site.key(scope_of(route) or Scope.PREDICT, project="other")).status_code
        assert status == 404 or (body_comes_first and status == 422), name


def test_lists_hold_what_is_the_callers_own(site: Any) -> None:
    scopes = {"adaptations": Scope.ADAPTATIONS_READ, "datasets": Scope.DATASETS_READ}
    for path in ("models", "endpoints", "adaptations", "datasets"):
        scope = scopes.get(path, Scope.MODELS_READ)
        for project, count in (("default", 1), ("other", 0)):
            headers = {"authorization": f"Bearer {site.key(scope, project=project)}"}
            assert len(site.http.get(f"/v1/{path}", headers=headers).json()["items"]) == count


def test_health_is_for_everybody(site: Any) -> None:
    assert site.http.get("/v1/health").json()["status"] == "ok"


def test_a_route_without_a_scope_does_not_start() -> None:
    router = APIRouter()
    router.add_api_route("/v1/forgotten", lambda: {})
    with pytest.raises(RuntimeError, match=r"/v1/forgotten.* depends on no scope"):
        check_guarded(router)


def test_the_application_has_no_other_routes(site: Any) -> None:
    paths = {route.path_format for router in ROUTERS for route in router.routes}
    assert set(site.app.openapi()["paths"]) <= paths
    assert not [one for one in site.app.routes if isinstance(one, Route | Mount)]


def test_a_caller_is_told_what_it_may_do(site: Any) -> None:
    key = site.key(Scope.PREDICT, Scope.MODELS_READ, project="vision")
    found = site.http.get("/v1/me", headers={"authorization": f"Bearer {key}"}).json()
    assert found["id"] == f"key:{key.split('_')[1]}"
    assert (found["project"], found["scopes"]) == ("vision", ["models:read", "predict"])


def test_keys_are_made_listed_and_revoked(site: Any) -> None:
    admin = {"authorization": f"Bearer {site.key(Scope.ADMIN)}"}
    wanted = {"name": "ci", "project": "vision", "scopes": ["predict"], "days": 30}
    made = site.http.post("/v1/keys", json=wanted, headers=admin)
    assert made.status_code == 201
    own = {"authorization": f"Bearer {made.json()['key']}"}
    assert site.http.get("/v1/me", headers=own).json()["project"] == "vision"
    listed = site.http.get("/v1/keys", headers=admin).json()["items"]
    assert made.json()["id"] in [row["id"] for row in listed]
    assert not {"key", "digest"} & listed[0].keys()
    revoked = site.http.delete(f"/v1/keys/{made.json()['id']}", headers=admin)
    assert revoked.json()["revoked"] is not None


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"name": "ci", "scopes": ["everything"]}, "scopes"),
        ({"name": "ci", "scopes": []}, "scopes"),
        ({"name": "../x", "scopes": ["predict"]}, "name"),
        ({"name": "ci", "scopes": ["predict"], "days": 0}, "days"),
    ],
)
def test_a_wrong_key_request_says_what_is_wrong(site: Any, wanted: Any, text: str) -> None:
    admin = {"authorization": f"Bearer {site.key(Scope.ADMIN)}"}
    answer = site.http.post("/v1/keys", json=wanted, headers=admin)
    assert answer.status_code == 422
    assert text in answer.json()["detail"]


def test_changes_are_logged_with_who_asked_and_what_became_of_it(site: Any) -> None:
    promoter, reader = site.key(Scope.MODELS_PROMOTE), site.key(Scope.MODELS_READ)
    for key in (promoter, reader, "nonsense"):
        headers = {"authorization": f"Bearer {key}"}
        site.http.post("/v1/endpoints/tweets/promote", json={"version": 1}, headers=headers)
    site.http.get("/v1/endpoints", headers={"authorization": f"Bearer {reader}"})
    admin = {"authorization": f"Bearer {site.key(Scope.ADMIN)}"}
    rows = site.http.get("/v1/audit", headers=admin).json()["items"]
    assert [(row["caller"], row["status"]) for row in rows] == [
        ("unknown", 401),
        (f"key:{reader.split('_')[1]}", 403),
        (f"key:{promoter.split('_')[1]}", 200),
    ]
    assert {row["action"] for row in rows} == {"POST /v1/endpoints/tweets/promote"}
    assert len(site.http.get("/v1/audit?limit=1", headers=admin).json()["items"]) == 1


def test_a_server_that_asks_for_no_key_takes_everybody(open_site: Callable[..., Any]) -> None:
    site = open_site()
    assert site.http.get("/v1/me").json()["scopes"] == ["admin"]


@pytest.mark.parametrize("reference", ["/etc", "hf:other/model", "torch:os:system", "onnx:a.onnx"])
def test_what_is_not_in_the_catalogue_is_opened_for_administrators_alone(
    site: Any, reference: str
) -> None:
    submitter = site.key(Scope.ADAPTATIONS_SUBMIT, Scope.DATASETS_WRITE)
    for key, refused in ((submitter, True), (site.key(Scope.ADMIN), False)):
        headers = {"authorization": f"Bearer {key}"}
        shown = site.http.get(f"/v1/sources/{reference}", headers=headers)
        assert (shown.status_code == 403) is refused, shown.text
        kept = site.http.post(
            "/v1/datasets?filename=a.csv", content=b"text,label\n", headers=headers
        )
        spec = {"name": "m", "source": reference, "data": kept.json()["reference"]}
        submitted = site.http.post("/v1/adaptations", json=spec, headers=headers)
        assert (submitted.status_code == 403) is refused, submitted.text
        if refused:
            assert "REGRAFT_ALLOWED_SOURCES" in submitted.json()["detail"]


def test_an_administrator_lists_what_others_may_have_opened(open_site: Callable[..., Any]) -> None:
    site = open_site(auth=True, allowed_sources="hf:acme/, /models/")
    headers = {"authorization": f"Bearer {site.key(Scope.PREDICT)}"}

    def status(reference: str) -> int:
        return int(site.http.get(f"/v1/sources/{reference}", headers=headers).status_code)

    assert status("minilm-l6") == 200
    assert status("minilm-l6?init=random") == 200
    assert status("/models/nosuch") == 404
    assert status("hf:other/model") == status("/model") == 403
    assert status("/models/..%2Fetc") == 403
