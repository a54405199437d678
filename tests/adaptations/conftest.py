"""Adaptations in this process, on a home that has the exports already."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from regraft.adaptations.context import Context
from regraft.adaptations.request import check_request
from regraft.adaptations.run import load_data
from regraft.adaptations.training import here
from regraft.adaptations.work import Work, begin
from regraft.domain import AdaptationSpec
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.registry.store import Registry
from regraft.settings import Settings

Submit = Callable[..., Context]


@pytest.fixture
def registry(fresh_home: Home) -> Registry:
    return Registry(fresh_home.root)


@pytest.fixture
def submit(registry: Registry, plugins: Plugins, tiny_bert: Path, reviews: Path) -> Submit:
    """A submitted adaptation of tiny-bert to the reviews, or of what the spec says instead."""

    def make(context: dict[str, Any] | None = None, **spec: Any) -> Context:
        values = {"name": "reviews", "data": str(reviews), "source": str(tiny_bert), **spec}
        adaptation, _ = registry.runs.submit(AdaptationSpec(**values))
        settings = Settings(home=registry.home.root, threads=1)
        chosen = {"plugins": plugins, "settings": settings, **(context or {})}
        return Context(adaptation, registry, **chosen)

    return make


@pytest.fixture
def begun(submit: Submit, plugins: Plugins) -> Any:
    """The work of a spec, as it is before anything is learnt."""

    def make(context: dict[str, Any] | None = None, **spec: Any) -> Work:
        made = submit(context, **spec)
        request = check_request(made.adaptation.spec, plugins)
        return begin(request, load_data(made, request.spec), made)

    return make


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ray Train would train is trained in this process, by the same loop."""
    monkeypatch.setattr("regraft.adaptations.learning.on_ray", here)
    monkeypatch.setattr("regraft.adaptations.run._cluster", lambda work: nullcontext())
