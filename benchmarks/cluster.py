"""A server on several nodes, and what befalls them: `python -m benchmarks.cluster`.

Three nodes on this machine, each with a network and processes of its own (root needed): a head that
does no work, and two that serve and train. Told are which node each worker and each replica is on,
and what callers saw, at 20 requests a second through one of the nodes, while the other is killed,
told to end, drained in favour of a spare one, or started again, and while the head is gone for 20
seconds. Then an endpoint gets replicas of its own, a second cluster begins beside the first with
nothing but the chart's `serveConfigV2`, and takes over.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.server import REGRAFT
from benchmarks.serving import KINDS, cache, publish
from benchmarks.steady import NAME, under_load
from regraft.client import Client
from regraft.domain import AdaptationSpec, Placement
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.ray_token import entry
from regraft.registry.store import Registry
from regraft.settings import Settings
from regraft.training.cluster import ROLES
from tests.cluster.nodes import Network, Node, network, short_folder, why_not

HTTP, GCS = 8000, 6379
AWAY = 20.0
TRIES = 4
ASKED = 20
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
    parser.add_argument("--only-switch", action="store_true", help="To another cluster.")
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
            begin(cluster, key)
            failed = 0 if given.only_switch else measure(cluster, key, given.training)
            print("failed:", failed + switched(cluster, key))


def begin(cluster: Cluster, key: str) -> None:
    _, first, second = cluster.nodes
    took = wait(lambda: all(answers(cluster.url(n), key) for n in (first, second)), 240, "answers")
    print(f"both nodes answer {took:.0f} s after the server was started", flush=True)
    print(
        f"  replicas a node: {[len(inside(n, 'ServeReplica:pool')) for n in cluster.nodes]}",
        flush=True,
    )
    wait(lambda: cluster.servers() == 1, 120, "the server is whole")
    with Client(cluster.url(first), key=key) as client:
        client.place(NAME, Placement())  # as in a home that is new
        wait(lambda: not client.endpoint(NAME)["placement"]["placed"], 60, "the pool answers")
        time.sleep(10)


def measure(cluster: Cluster, key: str, training: bool) -> int:
    _, first, second = cluster.nodes
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
    return failed + drained(cluster, key)


def drained(cluster: Cluster, key: str) -> int:
    """A node is drained as the chart does before a pod ends, and then ends."""
    _, first, second = cluster.nodes[:3]
    spare = cluster.another()
    cluster.start_worker(spare)
    wait(lambda: inside(spare, "raylet"), 60, "the spare node is there")

    def drain() -> str:
        raylet = inside(second, "raylet/raylet")[0].cmdline()
        (node,) = (word.split("=")[1] for word in raylet if word.startswith("--node_id="))
        at = ("--address", f"{cluster.head.address}:{GCS}", "--node-id", node)
        why = ("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "The node ends.")
        until = ("--deadline-remaining-seconds", "120")
        command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", *at, *why, *until]
        cluster.also(second, command).wait(60)
        moved = wait(lambda: inside(spare, "ServeReplica:pool"), 120, "a replica on the spare node")
        wait(lambda: answers(cluster.url(spare), key), 60, "the spare node answers")
        second.terminate()
        assert second.process is not None
        second.process.wait(120)
        return f"its replica began on a spare node {moved:.1f} s later"

    failed = under_load(cluster.url(first), "a node is drained", drain, key)
    cluster.nodes.remove(second)
    return failed


def switched(cluster: Cluster, key: str) -> int:
    """What a RayService does at an upgrade: traffic moves once all of the new cluster's
    applications run and its serving pods pass their probe."""
    first, dedicated = cluster.nodes[1], Placement(placement="dedicated")
    with Client(cluster.url(first), key=key) as client:
        client.place(NAME, dedicated)
        wait(lambda: client.endpoint(NAME)["placement"]["placed"], 120, "the endpoint is placed")
    new = cluster.beside()
    old_load = partial(under_load, cluster.url(first), key=key)
    ready: list[str] = []
    refused: list[int] = []

    def begin() -> str:
        new.start_head()
        new.start_worker(new.nodes[1])
        new.serve_config()
        took = wait(new.stands, 240, "all applications of the new cluster run")
        url = new.url(new.nodes[1])
        more = wait(lambda: takes_traffic(url), 120, "the new cluster's entry takes traffic")
        answered = Counter(asked(url, key) for _ in range(ASKED))
        refused.append(ASKED - answered["200"])
        ready.extend(sorted(new.applications()))
        return f"applications run after {took:.0f} s, the entry {more:.1f} s later: {answered}"

    failed = old_load("a new cluster begins", begin)
    print(f"  applications of the new cluster: {ready}", flush=True)

    def end_old() -> str:
        for node in cluster.nodes:
            node.kill()
        placed = wait(lambda: f"endpoint-{NAME}" in new.applications(), 120, "it is placed there")
        return f"the endpoint has replicas of its own there, {placed:.0f} s later"

    return (
        failed
        + sum(refused)
        + under_load(new.url(new.nodes[1]), "traffic moves, the old one ends", end_old, key)
    )


if __name__ == "__main__":
    main()
