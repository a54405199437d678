"""One real server for all tests of this folder: Ray, HAProxy, two replicas, two endpoints."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.server import environment, served
from regraft.client import Client
from regraft.registry.home import Home
from regraft.registry.store import Registry
from tests.environments import client_python, made_by_this_code
from tests.server.processes import adapt


@dataclass(frozen=True)
class Server:
    """A running server and what lies behind it."""

    url: str
    home: Home
    registry: Registry
    environment: dict[str, str]

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
    tmp_path_factory: pytest.TempPathFactory, exported: Home, tweets: Path, tiny_bert: Path
) -> Home:
    """A home with the endpoints `tweets` (MiniLM on 300 real tweets) and `tiny`."""

    def make(folder: Path) -> None:
        shutil.copytree(exported.root, folder)
        env = environment(folder, tmp_path_factory.mktemp("ray"))
        rows = ("--limit-rows", "300")
        adapt(env, str(tweets), "--name", "tweets", "--source", "minilm-l6", *rows)
        adapt(env, str(tweets), "--name", "tiny", "--source", str(tiny_bert), *rows)

    root = tmp_path_factory.mktemp("published") / "home"
    shutil.copytree(made_by_this_code("published", make), root)
    return Home(root)


@pytest.fixture(scope="session")
def server(published: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that most tests share; they leave it running and its two endpoints as they are."""
    with served(published.root) as url:
        env = environment(published.root, tmp_path_factory.mktemp("unused"))
        yield Server(url, published, Registry(published.root), env)


@pytest.fixture(scope="session")
def triton() -> Path:
    """The Python of an environment with tritonclient."""
    return client_python("triton", "tritonclient[http]==2.73.0")


@pytest.fixture(scope="session")
def kserve() -> Path:
    """The Python of an environment with kserve's client."""
    return client_python("kserve", "kserve==0.21.0")
