"""Side by side with other servers on the same graph: `python -m benchmarks.peers`.

Each peer runs the very backbone and head that our endpoint serves, in an environment of its own
that is made here, with dynamic batching and a worker a processor as its documentation advises. Each
is measured alone, in turn and in rounds, at 1, 32 and 64 connections. What could not be run is
said. Triton runs through PyTriton where there is a Python that its package carries (3.12).
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.in_process import open_predictors
from benchmarks.server import served
from benchmarks.serving import KINDS, TEXTS, publish
from regraft.registry.endpoint_table import EndpointTable, revisions
from regraft.registry.home import Home
from regraft.registry.manifest import Manifest
from regraft.serving.predictor import SoftmaxHead, served_backbone
from tests.environments import client_python

HERE = Path(__file__).parent
CONNECTIONS = (1, 32, 64)
RUNTIME = ("onnxruntime==1.31.1", "tokenizers", "numpy")
NAME = "tweets"
JSON = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A server, what its environment needs, how it is started, and how it is asked for a text."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    key: str = ""
    python: str | None = None

    def body(self, text: str) -> str:
        if self.key:
            return json.dumps({self.key: [text] if self.key == "texts" else text})
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
        if self.name == "Triton":
            tensor["shape"], tensor["data"] = [1, 1], [text]
        return json.dumps({"inputs": [tensor]})


PEERS = (
    Peer(
        "LitServe",
        ("litserve==0.2.19",),
        ("{python}", "litserve_app.py", "{port}"),
        "/predict",
        "text",
    ),
    Peer(
        "BentoML",
        ("bentoml==1.4.40",),
        ("{bin}/bentoml", "serve", "bentoml_app:Peer", "--host", "127.0.0.1", "--port", "{port}"),
        "/predict",
        "texts",
    ),
    Peer(
        "MLServer",
        ("mlserver==1.7.1", "uvloop==0.21.0"),
        ("{bin}/mlserver", "start", "{folder}"),
        "/v2/models/peer/infer",
    ),
    Peer(
        "Triton",
        ("nvidia-pytriton==0.7.0",),
        ("{python}", "triton_app.py", "{port}"),
        "/v2/models/peer/infer",
        python="3.12",
    ),
)


def export(root: Path, folder: Path) -> None:
    """The backbone that our replicas run, with its head, tokenizer and labels."""
    home = Home(root)
    table = EndpointTable.read(home.tables, revisions(home.tables)[-1])
    route = next(route for route in table.routes if route.name == NAME)
    manifest = Manifest.load(route.manifest, home.blobs)
    backbone = home.blobs.verified(served_backbone(manifest, gpu=False).sha256)
    shutil.copy(backbone, folder / "backbone.onnx")
    (predictor,) = open_predictors(root, NAME, 1)
    assert isinstance(predictor.head, SoftmaxHead)
    np.savez(folder / "head.npz", weight=predictor.head.weight, bias=predictor.head.bias)
    (folder / "tokenizer.json").write_bytes(predictor.encoder.inputs.tokenizer)  # type: ignore[attr-defined]
    (folder / "labels.json").write_text(json.dumps(manifest.labels))


def mlserver_settings(folder: Path, port: int) -> None:
    """A worker a processor, and batches as the others make them."""
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 2,
        "debug": False,
    }
    model = {
        "name": "peer",
        "implementation": "mlserver_app.Peer",
        "max_batch_size": 16,
        "max_batch_time": 0.005,
    }
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))
    for name in ("mlserver_app.py", "classifier.py"):
        shutil.copy(HERE / name, folder / name)


@contextmanager
def running(peer: Peer, model: Path, log: Path) -> Iterator[int]:
    """The port of this peer, which answers inside."""
    python = environment(peer)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="peer"))
    mlserver_settings(folder, port)
    words = {"python": python, "bin": python.parent, "port": port, "folder": folder}
    command = [part.format(**words) for part in peer.command]
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    given = {"PEER_MODEL": str(model), "BENTOML_DO_NOT_TRACK": "True", "PATH": path}
    given["LD_LIBRARY_PATH"] = libraries(python)
    env = {**os.environ, **given, "PYTHONPATH": str(folder if peer.name == "MLServer" else HERE)}
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env=env, cwd=HERE, stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait(peer, port, process)
        yield port
    finally:
        end(process)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def end(process: "subprocess.Popen[bytes]") -> None:
    """It and all that it started, some of which it may have left behind."""
    family = [one for one in psutil.process_iter() if _group(one.pid) == process.pid]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.terminate()
    for one in psutil.wait_procs(family, timeout=10)[1]:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def libraries(python: Path) -> str:
    """Where this Python's own library is: Triton embeds it."""
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def environment(peer: Peer) -> Path:
    """Its Python, with its packages; RuntimeError that says what is missing."""
    name = f"peer-{peer.name.lower()}"
    if peer.python is None:
        return client_python(name, *peer.packages, *RUNTIME)
    found = _pyenv(peer.python) or shutil.which(f"python{peer.python}")
    if found is None:
        raise RuntimeError(f"there is no Python {peer.python}")
    return client_python(name, *peer.packages, *RUNTIME, python=found)


def _pyenv(version: str) -> str | None:
    """One that pyenv keeps: its commands on PATH fail for versions that are not chosen."""
    found = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}*/bin/python"))
    return str(found[-1]) if found else None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait(peer: Peer, port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until it answers a text rightly."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            url = f"http://127.0.0.1:{port}{peer.path}"
            answer = httpx.post(url, content=peer.body("what a happy day"), headers=KIND, timeout=5)
            if answer.status_code == 200 and "positive" in answer.text:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise RuntimeError("it does not answer")


KIND = {"Content-Type": "application/json"}


def load(port: int, path: str, bodies: list[str], connections: int, seconds: float) -> JSON:
    command = [sys.executable, "-m", "benchmarks.load", "127.0.0.1", str(port), path]
    done = subprocess.run(
        [*command, str(connections), str(seconds)],
        input="\n".join(bodies),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: JSON = json.loads(done.stdout)
    return found


def measure(port: int, path: str, bodies: list[str], seconds: float) -> dict[int, JSON]:
    load(port, path, bodies, 32, 2)
    return {count: load(port, path, bodies, count, seconds) for count in CONNECTIONS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="Kept and reused if given.")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="Of the peers.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home, model = given.home or Path(scratch) / "home", Path(scratch) / "model"
        publish(home, KINDS["text"])
        model.mkdir()
        export(home, model)
        peers = [peer for peer in PEERS if given.only is None or peer.name in given.only]
        report(run(home, model, peers, given.rounds, given.seconds))


def run(
    home: Path, model: Path, peers: list[Peer], rounds: int, seconds: float
) -> dict[str, list[dict[int, JSON]]]:
    """Every server in each round, alone."""
    found: dict[str, list[dict[int, JSON]]] = {"regraft": []}
    ours = [KINDS["text"].body(text) for text in TEXTS]
    for _ in range(rounds):
        with served(home) as url:
            port = int(url.rpartition(":")[2])
            found["regraft"].append(measure(port, f"/v2/models/{NAME}/infer", ours, seconds))
        for peer in peers:
            try:
                with running(
                    peer, model, Path(tempfile.gettempdir()) / f"peer-{peer.name}.log"
                ) as port:
                    bodies = [peer.body(text) for text in TEXTS]
                    measured = measure(port, peer.path, bodies, seconds)
                    found.setdefault(peer.name, []).append(measured)
            except (RuntimeError, subprocess.SubprocessError) as error:
                print(f"{peer.name}: not run: {error}", flush=True)
    return found


def report(found: dict[str, list[dict[int, JSON]]]) -> None:
    print(
        f"{'':10} {'connections':>11} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'failed':>7}"
    )
    rates: dict[str, float] = {}
    for name, rounds in found.items():
        for count in CONNECTIONS:
            rows = [one[count] for one in rounds]
            rate, p50, p99 = (median(r[k] for r in rows) for k in ("rate", "p50_ms", "p99_ms"))
            failed = sum(row["failures"] for row in rows)
            print(f"{name:10} {count:11} {rate:11.0f} {p50:8.2f} {p99:8.2f} {failed:7}")
            if count == 32:
                rates[name] = rate
    others = {name: rate for name, rate in rates.items() if name != "regraft"}
    for name, rate in sorted(others.items(), key=lambda item: -item[1]):
        print(f"regraft at 32 connections: {rates['regraft'] / rate:.2f} times {name}")


if __name__ == "__main__":
    main()
