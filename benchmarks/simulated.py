"""A cluster on nodes that this machine simulates, and what it is asked."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.server import REGRAFT
from benchmarks.steady import NAME
from regraft.registry.ray_token import entry
from regraft.settings import Settings
from regraft.training.cluster import ROLES
from tests.cluster.nodes import Network, Node, network, short_folder

HTTP, GCS = 8000, 6379
TRIES = 4
RENDERED = Path(__file__).parents[1] / "deploy/rendered/minimal.yaml"
STANDING = """
import json, sys, ray
from ray import serve
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(json.dumps({name: one.status for name, one in serve.status().applications.items()}))
"""


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
        roles = [word for role in ROLES for word in ("--role", role)]
        joins = ["--address", f"{self.head.address}:{GCS}", *roles]
        node.start(
            [*REGRAFT, "node", "--host", node.address, *joins, "--cpus", 2],
            self.env,
            self.logs / f"{node.name}.log",
        )

    def another(self) -> Node:
        self.nodes.append(self.net.node(self.head.folder))
        return self.nodes[-1]

    def beside(self) -> "Cluster":
        """Another cluster of the same home, of a head and one more node; nothing of it runs."""
        env = {name: value for name, value in self.env.items() if name != "RAY_REDIS_ADDRESS"}
        nodes = [self.net.node(self.head.folder) for _ in range(2)]
        more = {"REGRAFT_HOST": "0.0.0.0", "REGRAFT_REPLICAS": "1"}
        return Cluster(self.net, self.home, self.logs, {**env, **more}, nodes)

    def also(self, node: Node, command: list[object]) -> "subprocess.Popen[bytes]":
        """A command of Ray's on a node, let into the cluster."""
        return node.also(command, self.admitted, self.logs / f"{node.name}-ray.log")

    @property
    def admitted(self) -> dict[str, str]:
        """The environment of who may come into the cluster."""
        return {**self.env, **entry(Settings(home=self.home), self.env)}

    def serve_config(self) -> None:
        """Hand the cluster what the chart's RayService hands it."""
        (manifest,) = (
            one
            for one in yaml.safe_load_all(RENDERED.read_text())
            if one and one["kind"] == "RayService"
        )
        config = self.logs / "serve.yaml"
        config.write_text(manifest["spec"]["serveConfigV2"])
        at = ["--address", f"{self.head.address}:{GCS}"]
        serve = [sys.executable, "-m", "ray.serve.scripts", "run", *at, "--non-blocking"]
        # Serve ends entries that take long to start, for which the command then does not wait; the
        # operator hands over the same again and again.
        for _ in range(TRIES):
            if self.also(self.head, [*serve, config]).wait() == 0:
                return
        raise AssertionError("the new cluster does not take the applications")

    def applications(self) -> list[str]:
        """Those that run."""
        log = self.logs / "standing.json"
        log.unlink(missing_ok=True)
        at = f"{self.head.address}:{GCS}"
        self.head.also([sys.executable, "-c", STANDING, at], self.admitted, log).wait(60)
        lines = log.read_text().splitlines()
        found = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        return [name for name, status in found.items() if status == "RUNNING"]

    def stands(self) -> bool:
        return {"pool", "control"} <= set(self.applications())

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
    return asked(url, key) == "200"


def asked(url: str, key: str) -> str:
    """The status of a prediction, and why it is not 200."""
    try:
        found = httpx.post(
            f"{url}/v2/models/{NAME}/predict",
            json={"inputs": ["a"]},
            headers={"Authorization": f"Bearer {key}"},
            timeout=5,
        )
    except httpx.HTTPError as error:
        return type(error).__name__
    return "200" if found.status_code == 200 else f"{found.status_code} {found.text[:100]}"


def takes_traffic(url: str) -> bool:
    """Whether the operator would send a pod traffic: its entry says so."""
    try:
        return httpx.get(f"{url}/-/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


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
