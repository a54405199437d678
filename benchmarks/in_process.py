"""The limit: encode, run and softmax in one process, on the blobs that are served.

Run as a process of its own: `python -m benchmarks.in_process rate|latency HOME NAME SECONDS`, with
the rows, one a line, on standard input: texts, or files in base64. Prints one JSON document.
"""

import itertools
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from regraft.plugins import Plugins
from regraft.registry.endpoint_table import EndpointTable, revisions
from regraft.registry.home import Home
from regraft.serving.predictor import Opener, Predictor
from regraft.serving.sessions import Runtime, available_cpus

BATCH = 16


def open_predictors(root: Path, name: str, count: int) -> list[Predictor]:
    """`count` predictors with a session each, which share the processors."""
    home = Home(root)
    table = EndpointTable.read(home.tables, revisions(home.tables)[-1])
    route = next(route for route in table.routes if route.name == name)
    runtime = Runtime(max(1, available_cpus() // count), optimised=home.optimised)
    plugins = Plugins.load(["image", "speech", "text"])
    return [Opener(home.blobs, plugins, runtime).open(route) for _ in range(count)]


def rate(predictors: list[Predictor], rows: list[Any], seconds: float) -> float:
    """Rows a second of all predictors together, each in a thread, in batches of BATCH."""
    done = [0] * len(predictors)
    begin = time.perf_counter() + seconds / 4
    end = begin + seconds

    def work(index: int) -> None:
        cycle = itertools.cycle(rows)
        while (now := time.perf_counter()) < end:
            predictors[index].predict([next(cycle) for _ in range(BATCH)])
            done[index] += BATCH * (now >= begin)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(predictors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def latency(predictor: Predictor, rows: list[Any], seconds: float) -> float:
    """The median time of one row, in seconds."""
    times, cycle, end = [], itertools.cycle(rows), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        predictor.predict([next(cycle)])
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


def rates(root: Path, name: str, lines: list[str], seconds: float) -> dict[str, float]:
    """By the number of sessions."""
    opened = {n: open_predictors(root, name, n) for n in (1, 2)}
    return {str(n): rate(p, rows_of(p[0], lines), seconds) for n, p in opened.items()}


def rows_of(predictor: Predictor, lines: list[str]) -> list[Any]:
    return predictor.task.read_inputs(lines)


def main() -> None:
    what, root, name, seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    lines = [line.strip() for line in sys.stdin if line.strip()]
    if what == "rate":
        print(json.dumps(rates(root, name, lines, seconds)))
    else:
        predictor = open_predictors(root, name, 2)[0]
        rows = rows_of(predictor, lines)
        latency(predictor, rows, seconds / 4)
        print(json.dumps({"p50_ms": 1000 * latency(predictor, rows, seconds)}))


if __name__ == "__main__":
    main()
