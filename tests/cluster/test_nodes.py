"""`regraft node` on machines of their own: which is for what, and one that is gone is missed."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regraft.reconcile.node import PORT
from regraft.registry.ray_token import entry
from regraft.settings import Settings
from tests.cluster.nodes import Node, network, short_folder, why_not
from tests.server.processes import REGRAFT

REASON = why_not()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

ALIVE = """
import json, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(json.dumps([node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]))
"""
PLACES = """
import json, sys, ray
from regraft.settings import Settings
from regraft.training.cluster import ROLES, missing_roles, role
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=0)
def place():
    return ray.util.get_node_ip_address()

settings = Settings(roles=True)
found = {name: ray.get(place.options(resources=role(name, settings)).remote(), timeout=60)
         for name in ROLES}
print(json.dumps([found, missing_roles(settings)]))
"""


@dataclass
class Machines:
    """A head without a role, one that serves and controls, and one that trains."""

    nodes: list[Node]
    env: dict[str, str]
    folder: Path

    def start(self, number: int) -> None:
        node, head = self.nodes[number], self.nodes[0]
        joins = ["--address", f"{head.address}:{PORT}"]
        more = (
            ["--cpus", 0],
            [*joins, "--role", "serve", "--role", "control", "--cpus", 1],
            [*joins, "--role", "train", "--cpus", 1],
        )[number]
        command = [*REGRAFT, "node", "--host", node.address, *more]
        node.start(command, self.env, self.folder / f"{number}.log")

    def asked(self, script: str) -> Any:
        """What a program on the head prints; None unless it succeeds."""
        out = self.folder / "out.json"
        out.unlink(missing_ok=True)
        env = {**self.env, **entry(Settings(home=self.folder / "home"), self.env)}
        at = f"{self.nodes[0].address}:{PORT}"
        done = self.nodes[0].also([sys.executable, "-c", script, at], env, out)
        if done.wait(100) != 0:
            return None
        # Ray may say something of its nodes beside it.
        lines = [line for line in out.read_text().splitlines() if line.startswith("[")]
        return json.loads(lines[-1])

    def wait_for_alive(self, count: int) -> None:
        self.wait_until(lambda: len(self.asked(ALIVE) or ()) == count, f"{count} nodes")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 90
        while not condition():
            logs = "".join(path.read_text()[-500:] for path in self.folder.glob("*.log"))
            assert time.monotonic() < end, f"{what}: {logs}"
            time.sleep(0.5)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with short_folder() as ray, network() as net:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "REGRAFT_"))}
        env |= {"REGRAFT_HOME": str(tmp_path / "home"), "REGRAFT_RAY_TEMP_DIR": str(ray / "r")}
        yield Machines([net.node(ray) for _ in range(3)], env, tmp_path)


def test_nodes_are_for_what_they_say_and_one_that_dies_is_missed(machines: Machines) -> None:
    machines.start(0)
    machines.wait_for_alive(1)
    machines.start(1)
    machines.start(2)
    machines.wait_for_alive(3)
    _, serving, training = (node.address for node in machines.nodes)
    places = {"serve": serving, "control": serving, "train": training}
    assert machines.asked(PLACES) == [places, []]
    machines.nodes[1].kill()
    machines.wait_for_alive(2)
    assert serving not in machines.asked(ALIVE)
