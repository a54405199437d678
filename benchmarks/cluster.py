"""A server on several nodes, and what befalls them: `python -m benchmarks.cluster`.

Three nodes on this machine, each with a network and processes of its own (root needed): a head that
does no work, and two that serve and train. Told are which node each worker and each replica is on,
and what callers saw, at 20 requests a second through one of the nodes, while the other is killed,
drained or started again, and while the head is gone for 20 seconds.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.server import REGRAFT
from benchmarks.serving import KINDS, cache, publish
from benchmarks.steady import NAME, under_load
from regraft.client import Client
from regraft.domain import AdaptationSpec
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.store import Registry
from tests.cluster.nodes import Network, Node, network, short_folder, why_not

HTTP, GCS = 8000, 6379
AWAY = 20.0


@dataclass
class Cluster:
    """Its nodes, of which the first is the head, and the server on it."""

    net: Network
    home: Path
    logs: Path
    env: dict[str, str]
    nodes: list[Node]
    server: "subprocess.Popen[bytes] | None" = None

    @property
    def head(self) -> Node:
        return self.nodes[0]

    def start_head(self) -> None:
        self.head.start(
            [*REGRAFT, "node", "--host", self.head.address, "--cpus", 0],
            self.env,
            self.logs / f"{self.head.name}.log",
        )
        wait(lambda: listens(self.head.address, GCS), 60, "the head listens")

    def start_worker(self, node: Node) -> None:
        """Once more, where it was killed."""
        joins = ["--address", f"{self.head.address}:{GCS}", "--role", "serve", "--role", "train"]
        node.start(
            [*REGRAFT, "node", "--host", node.address, *joins, "--cpus", 2],
            self.env,
            self.logs / f"{node.name}.log",
        )

    def start_server(self) -> None:
        self.server = self.head.also(
            [*REGRAFT, "serve", "--address", f"{self.head.address}:{GCS}", "--host", "0.0.0.0"],
            self.env,
            self.logs / "serve.log",
        )

    def servers(self) -> int:
        """How many have said that they serve."""
        return (self.logs / "serve.log").read_text().count("regraft serves")

    def url(self, node: Node) -> str:
        return f"http://{node.address}:{HTTP}"


def listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def wait(condition: Callable[[], Any], seconds: float, what: str) -> float:
    """How long it took (s)."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if condition():
            return time.monotonic() - begin
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def answers(url: str, key: str) -> bool:
    try:
        found = httpx.post(
            f"{url}/v2/models/{NAME}/predict",
            json={"inputs": ["a"]},
            headers={"Authorization": f"Bearer {key}"},
            timeout=5,
        )
    except httpx.HTTPError:
        return False
    return found.status_code == 200


def inside(node: Node, name: str) -> list[psutil.Process]:
    """The node's processes that are called so."""
    if node.process is None:
        return []
    family = psutil.Process(node.process.pid).children(recursive=True)
    found = []
    for process in family:
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def redis(address: str, folder: Path) -> Iterator[str]:
    """A Redis that all nodes reach; what Ray is told of it."""
    command = ["redis-server", "--bind", address, "--port", "6380", "--save", "", "--dir"]
    options = ["--protected-mode", "no"]
    with subprocess.Popen([*command, str(folder), *options], stdout=subprocess.DEVNULL) as process:
        try:
            wait(lambda: listens(address, 6380), 20, "Redis listens")
            yield f"{address}:6380"
        finally:
            process.terminate()


@contextmanager
def running(home: Path, logs: Path) -> Iterator[Cluster]:
    with short_folder() as ray, network() as net:
        nodes = [net.node(ray) for _ in range(3)]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "REGRAFT_"))}
        env |= {
            "REGRAFT_HOME": str(home),
            "REGRAFT_RAY_TEMP_DIR": str(ray / "r"),
            "REGRAFT_AUTH": "true",
            "REGRAFT_ROLES": "true",
            "REGRAFT_REPLICAS_PER_NODE": "1",
            "REGRAFT_SCRATCH_SECONDS": "0",
        }
        with redis(f"{net.subnet}.1", logs) as at:
            cluster = Cluster(net, home, logs, {**env, "RAY_REDIS_ADDRESS": at}, nodes)
            cluster.start_head()
            for node in nodes[1:]:
                cluster.start_worker(node)
            cluster.start_server()
            yield cluster


def spread_training(cluster: Cluster, client: Client, data: Path) -> str:
    """Two workers, and where they are; then a node is killed in the midst of it."""
    spec = AdaptationSpec(
        name="spread",
        data=str(data),
        source="minilm-l6",
        strategy="full",
        workers=2,
        limit_rows=400,
        options={"epochs": 6, "patience": 6, "least_steps": 0},
        force=True,
    )
    epochs: list[int] = []
    seen: list[list[int]] = []

    def hear(kind: str, told: dict[str, Any]) -> None:
        if kind == "worker":
            seen.append([len(inside(node, "RayTrainWorker")) for node in cluster.nodes])
        if kind == "epoch":
            epochs.append(told["epoch"])
            if len(epochs) == 2:
                cluster.nodes[2].kill()
                cluster.start_worker(cluster.nodes[2])

    result = client.adapt(spec, False, hear)
    return (
        f"workers a node {seen}; killed after epoch 2: epochs {epochs}, version "
        f"{result['version']}, accuracy {result['metrics']['accuracy']:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="Kept and reused if given.")
    parser.add_argument("--logs", type=Path, help="Kept if given.")
    parser.add_argument("--training", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    reason = why_not() or (None if shutil.which("redis-server") else "takes redis-server")
    if reason:
        sys.exit(f"benchmarks.cluster {reason}")
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home, logs = given.home or Path(scratch) / "home", given.logs or Path(scratch)
        logs.mkdir(parents=True, exist_ok=True)
        publish(home, KINDS["text"])
        scopes = [Scope.ADMIN]
        key = str(Registry(home).keys.create(NewKey(name="cluster", scopes=scopes))["key"])
        with running(home, logs) as cluster:
            print("failed:", measure(cluster, key, given.training))


def measure(cluster: Cluster, key: str, training: bool) -> int:
    _, first, second = cluster.nodes
    took = wait(lambda: all(answers(cluster.url(n), key) for n in (first, second)), 240, "answers")
    print(f"both nodes answer {took:.0f} s after the server was started", flush=True)
    print(
        f"  replicas a node: {[len(inside(n, 'ServeReplica:pool')) for n in cluster.nodes]}",
        flush=True,
    )
    wait(lambda: cluster.servers() == 1, 120, "the server is whole")
    if training:
        with Client(cluster.url(first), key=key) as client:
            print(spread_training(cluster, client, KINDS["text"].data(cache())), flush=True)
        wait(lambda: answers(cluster.url(second), key), 120, "the killed node answers again")
    failed = 0

    def kill_second() -> str:
        second.kill()
        time.sleep(15)
        cluster.start_worker(second)
        back = wait(lambda: answers(cluster.url(second), key), 120, "it answers again")
        return f"answers itself {back:.0f} s after it was started again"

    failed += under_load(cluster.url(first), "a node is killed", kill_second, key)

    def drain_second() -> str:
        second.terminate()
        assert second.process is not None
        second.process.wait(120)
        cluster.start_worker(second)
        back = wait(lambda: answers(cluster.url(second), key), 120, "it answers again")
        return f"answers itself {back:.0f} s after it was started again"

    failed += under_load(cluster.url(first), "a node is told to end", drain_second, key)

    def head_away() -> str:
        cluster.head.kill()
        time.sleep(AWAY)
        cluster.start_head()
        cluster.start_server()
        back = wait(lambda: cluster.servers() == 2, 240, "the server is there again")
        with Client(cluster.url(first), key=key) as client:
            client.promote(NAME, 1)
        return f"gone for {AWAY:.0f} s, the server is back {back:.0f} s later"

    failed += under_load(cluster.url(first), "the head is killed", head_away, key)
    return failed


if __name__ == "__main__":
    main()
