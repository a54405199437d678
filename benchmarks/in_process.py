"""The limit: tokenise, run and softmax in one process, on the blobs that are served.

Run as a process of its own: `python -m benchmarks.in_process HOME NAME SECONDS`, with the texts,
one a line, on standard input. Prints one JSON document.
"""

import itertools
import json
import sys
import threading
import time
from pathlib import Path

from regraft.plugins import Plugins
from regraft.registry.endpoint_table import EndpointTable, revisions
from regraft.registry.home import Home
from regraft.serving.predictor import Opener, Predictor
from regraft.serving.sessions import available_cpus

BATCH = 16


def open_predictors(root: Path, name: str, count: int) -> list[Predictor]:
    """`count` predictors with a session each, which share the processors."""
    home = Home(root)
    table = EndpointTable.read(home.tables, revisions(home.tables)[-1])
    route = next(route for route in table.routes if route.name == name)
    threads, plugins = max(1, available_cpus() // count), Plugins.load(["text"])
    return [Opener(home.blobs, plugins, threads).open(route) for _ in range(count)]


def rate(predictors: list[Predictor], texts: list[str], seconds: float) -> float:
    """Texts a second of all predictors together, each in a thread, in batches of BATCH."""
    done = [0] * len(predictors)
    begin = time.perf_counter() + seconds / 4
    end = begin + seconds

    def work(index: int) -> None:
        cycle = itertools.cycle(texts)
        while (now := time.perf_counter()) < end:
            predictors[index].predict([next(cycle) for _ in range(BATCH)])
            done[index] += BATCH * (now >= begin)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(predictors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def latency(predictor: Predictor, texts: list[str], seconds: float) -> float:
    """The median time of one text, in seconds."""
    times, cycle, end = [], itertools.cycle(texts), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        predictor.predict([next(cycle)])
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


def main() -> None:
    root, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    texts = [line.strip() for line in sys.stdin if line.strip()]
    one, two = open_predictors(root, name, 1), open_predictors(root, name, 2)
    rates = {"1": rate(one, texts, seconds), "2": rate(two, texts, seconds)}
    document = {
        "rate": max(rates.values()),
        "rates": rates,
        "p50_ms": 1000 * latency(two[0], texts, seconds / 2),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
