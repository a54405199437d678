"""Several nodes on one machine: each has a network, processes, and a place for Ray's files of its
own, so that it can be killed or cut off as a machine can. Takes root on Linux."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
NEEDED = ("ip", "unshare", "mount")
START_SECONDS = 30


def why_not() -> str | None:
    """What this machine lacks for it; None if nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "takes root on Linux, for network namespaces"
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        return f"takes the programs {', '.join(missing)}"
    try:
        with network():
            return None
    except subprocess.CalledProcessError:
        return "takes the right to make networks"


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@dataclass
class Network:
    """A bridge whose far ends are the nodes; this machine is the first address on it."""

    name: str
    subnet: str
    nodes: list["Node"] = field(default_factory=list)

    @contextmanager
    def up(self) -> Iterator["Network"]:
        _run("ip", "link", "add", self.name, "type", "bridge")
        try:
            _run("ip", "addr", "add", f"{self.subnet}.1/24", "dev", self.name)
            _run("ip", "link", "set", self.name, "up")
            yield self
        finally:
            for node in self.nodes:
                node.kill()
                subprocess.run(["ip", "netns", "del", node.name], check=False)
            _run("ip", "link", "del", self.name)

    def node(self, folder: Path) -> "Node":
        """A new one with an address and nothing that runs; its own files lie where every node has
        `folder`."""
        number = len(self.nodes) + 2
        node = Node(f"{self.name}-{number}", f"{self.subnet}.{number}", folder)
        outer, inner = f"{self.name}o{number}", f"{self.name}i{number}"
        _run("ip", "netns", "add", node.name)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", inner, "netns", node.name)
        _run("ip", "link", "set", outer, "master", self.name, "up")
        for inside in (
            f"link set {inner} up",
            "link set lo up",
            f"addr add {node.address}/24 dev {inner}",
        ):
            _run("ip", "-n", node.name, *inside.split())
        self.nodes.append(node)
        return node


@dataclass
class Node:
    """One machine of the network. Its first command is its process 1: all others end with it."""

    name: str
    address: str
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, command: Sequence[object], env: Mapping[str, str], log: Path) -> None:
        """Run its first command, on an empty folder and an empty shared memory."""
        mounts = f'mount -t tmpfs none {self.folder} && mount -t tmpfs none /dev/shm && exec "$@"'
        whole = ["ip", "netns", "exec", self.name, *ISOLATED, "sh", "-c", mounts, "sh"]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*whole, *map(str, command)], env=dict(env), stdout=out, stderr=out
            )

    def also(
        self, command: Sequence[object], env: Mapping[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """Run another command beside the first, among its processes and files."""
        inside = ["nsenter", "--target", str(self._first().pid), "--mount", "--pid", "--net"]
        with log.open("ab") as out:
            return subprocess.Popen(
                [*inside, *map(str, command)], env=dict(env), stdout=out, stderr=out
            )

    def _first(self) -> psutil.Process:
        """The first command, which a busy machine may take a moment to start."""
        assert self.process is not None
        unshare = psutil.Process(self.process.pid)  # `ip netns exec` becomes it
        end = time.monotonic() + START_SECONDS
        while not (found := unshare.children()) and time.monotonic() < end:
            time.sleep(0.05)
        assert found, f"{self.name} did not start within {START_SECONDS} s"
        return found[0]

    def kill(self) -> None:
        """As a machine that loses its power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def terminate(self) -> None:
        """SIGTERM to the first command, as Kubernetes sends it."""
        self._first().send_signal(signal.SIGTERM)


@contextmanager
def network() -> Iterator[Network]:
    """One that no other has, as far as its name tells."""
    number = os.getpid() % 200 + 20
    with Network(f"rg{number}", f"10.213.{number}").up() as made:
        yield made


@contextmanager
def short_folder() -> Iterator[Path]:
    """For Ray's sockets, whose paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        yield Path(folder)
