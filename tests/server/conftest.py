"""One real server for all tests of this folder: Ray, HAProxy, two replicas, two endpoints."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.server import environment, served
from regraft.adaptations.context import Context
from regraft.adaptations.run import run
from regraft.client import Client
from regraft.domain import AdaptationSpec
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.registry.store import Registry
from regraft.settings import Settings
from tests.environments import client, made_by_this_code


@dataclass(frozen=True)
class Server:
    """A running server and what lies behind it."""

    url: str
    home: Home
    registry: Registry
    environment: dict[str, str]

    @property
    def grpc(self) -> str:
        """HOST:PORT."""
        return str(json.loads(self.home.lock.read_text())["grpc"])

    def client(self) -> Client:
        return Client(self.url)


def copy_home(home: Home, target: Path) -> Home:
    """A copy that may change: what never changes is linked, the rest is copied."""
    for part in ("blobs", "cache"):
        shutil.copytree(home.root / part, target / part, copy_function=os.link)
    if home.tables.is_dir():
        shutil.copytree(home.tables, target / home.tables.name)
        shutil.copy(home.root / "regraft.db", target / "regraft.db")
    return Home(target)


@pytest.fixture(scope="session")
def published(
    tmp_path_factory: pytest.TempPathFactory,
    exported_texts: Home,
    plugins: Plugins,
    tweets: Path,
    tiny_bert: Path,
) -> Home:
    """A home with the endpoints `tweets` (MiniLM on 300 real tweets) and `tiny`."""

    def make(folder: Path) -> None:
        shutil.copytree(exported_texts.root, folder)
        registry, settings = Registry(folder), Settings(home=folder)
        for name, source in (("tweets", "minilm-l6"), ("tiny", str(tiny_bert))):
            given = {"name": name, "source": source, "data": str(tweets), "limit_rows": 300}
            adaptation, _ = registry.runs.submit(AdaptationSpec(**given, force=True))
            run(Context(adaptation, registry, plugins, settings))

    root = tmp_path_factory.mktemp("published") / "home"
    shutil.copytree(made_by_this_code("published", make), root)
    return Home(root)


@pytest.fixture(scope="package")
def server(published: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that most tests share; they leave it running and its two endpoints as they are.
    It ends with the last of them: even one that nobody asks takes an eighth of two processors."""
    with served(published.root) as url:
        env = environment(published.root, tmp_path_factory.mktemp("unused"))
        yield Server(url, published, Registry(published.root), env)


@pytest.fixture(scope="package")
def exports(server: Server, exported: Home) -> None:
    """The shared server's home has those of images and sounds too, which others make meanwhile."""
    shutil.copytree(exported.root, server.home.root, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def triton() -> Path:
    """The Python of an environment with tritonclient."""
    return client("triton")


@pytest.fixture(scope="session")
def kserve() -> Path:
    """The Python of an environment with kserve's client."""
    return client("kserve")


@pytest.fixture(scope="session")
def mlserver() -> Path:
    """The Python of an environment with mlserver."""
    return client("mlserver")
