"""The control plane on a registry of its own; what it would launch is written down."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from regraft.api.app import build_app
from regraft.api.services import Services
from regraft.domain import Adaptation, AdaptationSpec, ModelVersion
from regraft.identity.authenticator import anybody
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.settings import Settings


@dataclass
class Site:
    """A server that can be asked, with a view of its inside."""

    registry: Registry
    plugins: Plugins
    settings: Settings
    launched: list[str] = field(default_factory=list)
    launch: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        launch = self.launch or self.launched.append
        known = self.registry.keys.authenticator() if self.settings.auth else anybody
        given = (self.registry, self.plugins, self.settings, launch, self.metrics)
        self.app = build_app(Services(*given, authenticate=known))
        self.http = TestClient(self.app, raise_server_exceptions=False)

    def key(self, *scopes: Scope, project: str = "default", days: float | None = None) -> str:
        """What the owner of a new key sends."""
        wanted = NewKey(name="a-key", project=project, scopes=scopes, days=days)
        return str(self.registry.keys.create(wanted)["key"])

    async def metrics(self) -> str:
        return "regraft_up 1\n"

    def upload(self, content: bytes = b"text,label\na,b\n") -> str:
        answer = self.http.post("/v1/datasets?filename=rows.csv", content=content)
        return str(answer.json()["reference"])

    def submit(self, key: str | None = None, **changes: Any) -> Response:
        spec = {"name": "tweets", "source": "minilm-l6", **changes}
        headers = {"Idempotency-Key": key} if key else {}
        given = {"data": changes.get("data") or self.upload(), **spec}
        return self.http.post("/v1/adaptations", json=given, headers=headers)

    def run(self) -> Adaptation:
        """A run that nobody launched."""
        spec = AdaptationSpec(name="tweets", source="minilm-l6", data="dataset:d-0")
        return self.registry.runs.submit(spec)[0]

    def publish(self, name: str = "tweets", **summary: Any) -> ModelVersion:
        blobs = self.registry.blobs
        part = {"sha256": "0" * 64}
        report = blobs.put(json.dumps({"primary": "accuracy", "loss": float("nan")}).encode())
        manifest = {"report": report.as_dict(), "backbone": part, "head": part}
        stored = blobs.put(json.dumps(manifest).encode())
        return self.registry.models.publish(
            name, stored, {"task": "a-task", **summary}, promote=True
        )


@pytest.fixture
def open_site(tmp_path: Path, plugins: Plugins) -> Callable[..., Site]:
    def opened(launch: Callable[[str], None] | None = None, **settings: Any) -> Site:
        return Site(Registry(tmp_path), plugins, Settings(**settings), launch=launch)

    return opened


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Site:
    return open_site()
