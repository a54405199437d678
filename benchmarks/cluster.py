"""A server on several nodes, and what befalls them: `python -m benchmarks.cluster`.

Three nodes on this machine, each with a network and processes of its own (root needed): a head that
does no work, and two that serve and train. Told are which node each worker and each replica is on,
and what callers saw, at 20 requests a second through one of the nodes, while the other is killed,
told to end, drained in favour of a spare one, or started again, and while the head is gone for 20
seconds. Then an endpoint gets replicas of its own, a second cluster begins beside the first with
nothing but the chart's `serveConfigV2`, and takes over.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.serving import KINDS, cache, publish
from benchmarks.simulated import GCS, Cluster, answers, asked, inside, running, takes_traffic, wait
from benchmarks.steady import NAME, under_load
from regraft.client import Client
from regraft.domain import AdaptationSpec, Placement
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.store import Registry
from tests.cluster.nodes import why_not

AWAY = 20.0
ASKED = 20


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
    own = f"ServeReplica:endpoint-{NAME}"
    wait(lambda: not any(inside(node, own) for node in cluster.nodes), 60, "the pool answers alone")


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
