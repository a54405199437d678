"""Two projects on one server: whatever they do, in whatever order, neither sees or changes what is
the other's."""

import os
import tempfile
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from regraft.api.app import build_app
from regraft.api.services import Services
from regraft.domain import Blob
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.settings import Settings

STEPS = int(os.environ.get("REGRAFT_TENANT_STEPS", "200"))
"""Of the two thousand that are asked for; `REGRAFT_TENANT_STEPS=2000` takes them all."""
TENANTS = ("ours", "theirs")
TENANT = st.sampled_from(TENANTS)
NUMBER = st.integers(0, 2)
ALL = [scope for scope in Scope if scope != Scope.ADMIN]


class Tenants(RuleBasedStateMachine):
    """Each project has models `PROJECT-0` to `PROJECT-2`; what is known of them is kept beside."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.registry = Registry(Path(self.folder.name))
        self.runs: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self.served: dict[str, dict[str, int]] = {tenant: {} for tenant in TENANTS}
        self.made: dict[str, int] = {}
        given = (Plugins.load(["text", "transfer", "transformers"]), Settings(auth=True))
        services = Services(
            self.registry, *given, lambda run: None, metrics, authenticate=self.authenticator()
        )
        self.http = TestClient(build_app(services))

    def authenticator(self) -> Any:
        keys = self.registry.keys
        self.keys = {
            tenant: keys.create(NewKey(name=tenant, project=tenant, scopes=ALL))["key"]
            for tenant in TENANTS
        }
        return keys.authenticator()

    def ask(self, tenant: str, method: str, path: str, **given: Any) -> Any:
        headers = {"authorization": f"Bearer {self.keys[tenant]}"}
        return self.http.request(method, f"/v1/{path}", headers=headers, **given)

    @rule(tenant=TENANT, number=NUMBER)
    def submit(self, tenant: str, number: int) -> None:
        data = self.ask(tenant, "POST", "datasets?filename=a.csv", content=b"text,label\n")
        spec = {"name": f"{tenant}-{number}", "source": "minilm-l6"}
        spec["data"] = data.json()["reference"]
        answer = self.ask(tenant, "POST", "adaptations", json=spec)
        assert answer.status_code == 202
        self.runs[tenant].append(answer.json()["id"])

    @rule(tenant=TENANT, number=NUMBER)
    def take_the_others_name_or_data(self, tenant: str, number: int) -> None:
        other = another(tenant)
        data = self.ask(other, "POST", "datasets?filename=a.csv", content=b"text,label\n").json()
        spec = {"name": f"{tenant}-{number}", "source": "minilm-l6", "data": data["reference"]}
        assert self.ask(tenant, "POST", "adaptations", json=spec).status_code == 404
        if f"{other}-{number}" in self.made:
            mine = self.ask(tenant, "POST", "datasets?filename=a.csv", content=b"a").json()
            spec = {"name": f"{other}-{number}", "source": "minilm-l6", "data": mine["reference"]}
            assert self.ask(tenant, "POST", "adaptations", json=spec).status_code == 409

    @rule(tenant=TENANT, number=NUMBER)
    def publish(self, tenant: str, number: int) -> None:
        name = f"{tenant}-{number}"
        registry = self.registry.within(
            self.registry.keys.authenticator()(f"Bearer {self.keys[tenant]}").view
        )
        version = registry.models.publish(name, Blob("a" * 64, 1), {}, promote=True).version
        self.made[name] = self.served[tenant][name] = version

    @rule(tenant=TENANT, number=NUMBER, version=st.integers(1, 4))
    def promote(self, tenant: str, number: int, version: int) -> None:
        name = f"{tenant}-{number}"
        answer = self.ask(tenant, "POST", f"endpoints/{name}/promote", json={"version": version})
        known = version <= self.made.get(name, 0)
        assert answer.status_code == (200 if known else 404)
        if known:
            self.served[tenant][name] = version

    @rule(tenant=TENANT, number=NUMBER, version=st.integers(1, 4))
    def meddle(self, tenant: str, number: int, version: int) -> None:
        name = f"{another(tenant)}-{number}"
        label = {"labels": [{"id": "r", "label": "a"}]}
        for method, path, body in (
            ("GET", f"models/{name}", None),
            ("GET", f"models/{name}/versions/{version}", None),
            ("GET", f"endpoints/{name}", None),
            ("GET", f"endpoints/{name}/history", None),
            ("GET", f"endpoints/{name}/live", None),
            ("POST", f"endpoints/{name}/promote", {"version": version, "force": True}),
            ("POST", f"endpoints/{name}/rollback", {"from": version}),
            ("POST", f"endpoints/{name}/try", {"version": version}),
            ("PUT", f"endpoints/{name}/placement", {"placement": "dedicated"}),
            ("POST", f"endpoints/{name}/feedback", label),
        ):
            answer = self.ask(tenant, method, path, **({} if body is None else {"json": body}))
            assert answer.status_code in (404, 422), path
            assert f"{another(tenant)}-" not in answer.text.replace(name, "")

    @rule(tenant=TENANT, data=st.data())
    def cancel(self, tenant: str, data: Any) -> None:
        if not self.runs[tenant]:
            return
        run = data.draw(st.sampled_from(self.runs[tenant]))
        for path, method in ((f"adaptations/{run}", "GET"), (f"adaptations/{run}/cancel", "POST")):
            body = {"json": {}} if method == "POST" else {}
            assert self.ask(another(tenant), method, path, **body).status_code == 404
            assert self.ask(tenant, method, path, **body).status_code in (200, 202)

    @invariant()
    def each_sees_its_own(self) -> None:
        for tenant in TENANTS:
            runs = self.ask(tenant, "GET", "adaptations").json()["items"]
            assert {run["id"] for run in runs} == set(self.runs[tenant])
            endpoints = self.ask(tenant, "GET", "endpoints").json()["items"]
            assert {e["name"]: e["version"] for e in endpoints} == self.served[tenant]
            models = self.ask(tenant, "GET", "models").json()["items"]
            assert all(model["name"].startswith(f"{tenant}-") for model in models)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.registry.engine.dispose()
            self.folder.cleanup()


async def metrics() -> str:
    return ""


def another(tenant: str) -> str:
    return TENANTS[1 - TENANTS.index(tenant)]


Tenants.TestCase.settings = settings(
    max_examples=max(1, STEPS // 50),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestTenants = Tenants.TestCase
