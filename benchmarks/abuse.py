"""What hostile requests cost those who ask beside them: `python -m benchmarks.abuse`.

One client repeats an abuse without pause while two others ask for predictions. Told of each abuse
are the status, the slowest refusal (at most 2 s), how much the replicas grew (at most 64 MiB, or
the 64 MiB that a body may have), and how the p99 of the others compares with that of the windows
before and after (at most twice). Who abuses shares the processors with all others: first told is
what a client costs them that only computes, and asks the server nothing.
"""

import argparse
import io
import itertools
import json
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import onnx
import soundfile
from onnx import TensorProto, helper
from PIL import Image

from benchmarks.processes import PeakMemory, instance_processes
from benchmarks.server import served
from benchmarks.serving import KINDS, Asked, cache, publish

MOST_SECONDS, MOST_GROWTH, MOST_RATIO = 2.0, 64.0, 2.0
INFER = "/v2/models/{}/infer"
PREDICT = "/v2/models/{}/predict"
Content = bytes | Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Abuse:
    """One request that nobody means well, and the status that it deserves."""

    name: str
    path: str
    content: Content
    status: int
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, address: tuple[str, int]) -> int:
        """The status, which is read while it still sends, as curl does; 0 if there was none."""
        whole = isinstance(self.content, bytes)
        size = f"Content-Length: {len(self.content)}" if whole else "Transfer-Encoding: chunked"
        given = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = f"POST {self.path} HTTP/1.1\r\nHost: {address[0]}\r\n{given}{size}\r\n\r\n"
        pieces = iter([self.content]) if isinstance(self.content, bytes) else self.content()
        with socket.create_connection(address, 60) as connection:
            connection.setblocking(False)
            return _status(connection, itertools.chain([head.encode()], pieces))


class Computing(Abuse):
    """What any process costs that shares the processors."""

    def send(self, address: tuple[str, int]) -> int:
        sum(range(10**6))
        return 0


def _status(connection: socket.socket, pieces: Iterator[bytes]) -> int:
    left: memoryview | None = None
    while True:
        left = left or memoryview(next(pieces, b""))
        readable, writable, _ = select.select([connection], [connection] if left else [], [], 60)
        if readable:
            with suppress(OSError):
                return int(connection.recv(65536).split(None, 2)[1])
            return 0
        if not writable:
            return 0
        with suppress(OSError):
            left = left[connection.send(left) :]


def flood() -> Iterator[bytes]:
    """A body without end, as long as somebody reads it."""
    while True:
        yield b"100000\r\n" + bytes(2**20) + b"\r\n"


def bomb() -> bytes:
    """1 GiB in 1 MiB."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(1024)), packer.flush()])


def picture() -> bytes:
    """A PNG of 900 megapixels in 20 kB or so: its header, and the pixels of a smaller one."""
    file = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(file, "PNG")
    body = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + file.getvalue()[33:]


def silence() -> bytes:
    """Two hours of nothing."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(7_200 * 8_000, np.int16), 8_000, format="FLAC")
    return file.getvalue()


def of_a_file(name: str, tensor: str, content: bytes) -> Abuse:
    """As a binary tensor of the protocol."""
    size = {"binary_data_size": len(content) + 4}
    inputs = {"name": tensor, "datatype": "BYTES", "shape": [1], "parameters": size}
    head = json.dumps({"inputs": [inputs]}).encode()
    body = head + struct.pack("<I", len(content)) + content
    of = {"image": "stamps", "audio": "tones"}[tensor]
    length = {"Inference-Header-Content-Length": str(len(head))}
    return Abuse(name, INFER.format(of), body, 413, length)


def abuses() -> list[Abuse]:
    text, predict = INFER.format("tweets"), PREDICT.format("tweets")
    shape = {"name": "text", "datatype": "BYTES", "shape": [2**62, 2**62], "data": ["a"]}
    return [
        Computing("a client that only computes", "", b"", 0),
        Abuse("a body without end", text, flood, 413),
        Abuse("1 GiB of gzip", text, bomb(), 413, {"Content-Encoding": "gzip"}),
        Abuse("JSON 100,000 deep", predict, b"[" * 100_000 + b"]" * 100_000, 400),
        Abuse("a number of 8 MB", predict, b'{"inputs": [' + b"9" * 8_000_000 + b"]}", 400),
        Abuse("6 MB of keys", predict, _keys(), 413),
        Abuse("a shape of 2^124", text, json.dumps({"inputs": [shape]}).encode(), 400),
        Abuse("U+FDFA, 100,000 times", predict, _texts("\ufdfa" * 100_000), 413),
        Abuse("a text of 8 MB", predict, _texts("a" * 8_000_000), 413),
        of_a_file("a picture of 900 megapixels", "image", picture()),
        of_a_file("a sound of two hours", "audio", silence()),
    ]


def _keys() -> bytes:
    return json.dumps({f"k{number}": 0 for number in range(500_000)}).encode()


def _texts(text: str) -> bytes:
    return json.dumps({"inputs": [text]}, ensure_ascii=False).encode()


@dataclass
class Told:
    """What became of what was sent."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0


def repeated(abuse: Abuse, url: str, stop: threading.Event) -> Told:
    told, at = Told(), urlsplit(url)
    while not stop.is_set():
        begin = time.monotonic()
        told.statuses[abuse.send((str(at.hostname), int(at.port or 80)))] += 1
        told.slowest = max(told.slowest, time.monotonic() - begin)
    return told


def child(url: str, number: int) -> None:
    """Repeats one abuse until its input ends, in a process of its own; prints what came of it."""
    abuse, stop = abuses()[number], threading.Event()
    print("ready", flush=True)
    sys.stdin.readline()
    waiter = threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True)
    waiter.start()
    told = repeated(abuse, url, stop)
    print(json.dumps({"statuses": told.statuses, "slowest": told.slowest}), flush=True)


def measured(asked: Asked, url: str, number: int, abuse: Abuse, seconds: float) -> bool:
    command = [sys.executable, "-m", "benchmarks.abuse", "child", url, str(number)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdout.readline()
        before = asked.http(url, 2, seconds)
        memory = PeakMemory(asked.home)
        running.stdin.write("go\n")
        running.stdin.flush()
        during = asked.http(url, 2, seconds)
        out, _ = running.communicate()
        growth = memory.growth() / 2**20
        after = asked.http(url, 2, seconds)
    told: dict[str, Any] = json.loads(out)
    usual = (before["p99_ms"] + after["p99_ms"]) / 2
    ratio, failed = during["p99_ms"] / usual, during["failures"]
    statuses = {int(status): count for status, count in told["statuses"].items()}
    fine = set(statuses) == {abuse.status} and told["slowest"] <= MOST_SECONDS and failed == 0
    print(
        f"{abuse.name:28} {statuses}, {told['slowest']:.2f} s at most, {growth:+.0f} MiB; others: "
        f"p99 {usual:.1f} → {during['p99_ms']:.1f} ms, {ratio:.2f} times, {failed} failed",
        flush=True,
    )
    return fine and growth <= MOST_GROWTH and ratio <= MOST_RATIO


def endless(folder: Path) -> Path:
    """A valid graph of some kB that becomes one of 2^30 operators once its functions are
    expanded."""
    opsets, depth = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)], 30
    functions = []
    for number in range(depth):
        nodes = [
            helper.make_node(f"F{number + 1}", [given], [made], domain="own")
            for given, made in (("a", "b"), ("b", "c"))
        ]
        functions.append(helper.make_function("own", f"F{number}", ["a"], ["c"], nodes, opsets))
    last = [helper.make_node("Relu", ["a"], ["c"])]
    functions.append(helper.make_function("own", f"F{depth}", ["a"], ["c"], last, opsets))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 3, 4, 4]) for name in "xy"
    ]
    first = [helper.make_node("F0", ["x"], ["y"], domain="own")]
    graph = helper.make_graph(first, "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=9)
    onnx.save(model, folder / "endless.onnx")
    return folder / "endless.onnx"


def control_plane(home: Path) -> int:
    """Its process."""
    (found,) = [
        process.pid
        for process in instance_processes(home)
        if "ServeReplica:control" in " ".join(process.cmdline())
    ]
    return found


def report_graph(asked: Asked, url: str, folder: Path, seconds: float) -> bool:
    """The graph without end, asked of the control plane."""
    before, usual = control_plane(asked.home), asked.http(url, 2, seconds)["p99_ms"]
    answers: list[tuple[int, float]] = []

    def ask() -> None:
        begin = time.monotonic()
        answer = httpx.get(f"{url}/v1/sources/onnx:{endless(folder)}", timeout=300)
        answers.append((answer.status_code, time.monotonic() - begin))

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(5)
    during = asked.http(url, 2, seconds)
    quick = time.monotonic()
    listed = httpx.get(f"{url}/v1/models", timeout=30).status_code
    quick = time.monotonic() - quick
    thread.join()
    ((status, took),) = answers
    ratio, same = during["p99_ms"] / usual, control_plane(asked.home) == before
    print(
        f"a graph of 2^30 operators: {status} after {took:.0f} s, the control plane answers others "
        f"within {quick:.2f} s and is the same process: {same}; p99 of predictions {ratio:.2f} "
        f"times, {during['failures']} failed"
    )
    return status == 422 and listed == 200 and same and during["failures"] == 0


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="Kept and reused if given.")
    parser.add_argument("--seconds", type=float, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home = given.home or Path(scratch) / "home"
        for kind in KINDS.values():
            publish(home, kind)
        with served(home) as url:
            asked = Asked(home, KINDS["text"], KINDS["text"].lines(cache()))
            every = [
                measured(asked, url, number, abuse, given.seconds)
                for number, abuse in enumerate(abuses())
            ]
            fine = every[1:]
            fine.append(report_graph(asked, url, Path(scratch), given.seconds))
    print(f"{sum(fine)} of {len(fine)} within the limits")
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
