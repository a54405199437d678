"""What strategies across domains give: labelled rows of one, rows without labels of the other.

`python -m benchmarks.across --from movies --to tweets`. Beside each strategy stands the linear
probe on the same labelled rows: no adaptation. Intervals are over the rows of the test part.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import Bench, spec_of
from regraft.adaptations.trial import try_out
from regraft.data.load import load_dataset
from regraft.domain import DataSet
from regraft.evaluation.intervals import paired_bootstrap

STRATEGIES = ("lp-ft", "coral", "mmd", "dann", "mcc", "pseudo-label")


def load(bench: Bench, source: str, target: str, rows: int, seed: int) -> DataSet:
    """`rows` labelled ones of the source, as many of the target without labels, and its test."""
    other = spec_of(bench, target, seed, split=(0.5, 0.1, 0.4))
    task = bench.plugins.task(other.task)
    aimed = load_dataset(other, task, bench.settings)
    known = load_dataset(spec_of(bench, source, seed, limit_rows=rows), task, bench.settings)
    return DataSet(
        known.train.joined(known.test),
        known.validation,
        aimed.test,
        known.labels,
        known.fingerprint,
        unlabelled=aimed.train.take(range(min(rows, len(aimed.train)))),
    )


def measure(bench: Bench, args: Any, strategy: str, seed: int, options: dict[str, Any]) -> Any:
    """The outputs for the target's test part, its targets, and seconds."""
    data = load(bench, args.source, args.target, args.rows, seed)
    needs = bench.plugins.strategy(strategy).unlabelled != "unused"
    given = {"strategy": strategy, "options": options}
    more = {"unlabelled": "given"} if needs else {}
    spec = spec_of(bench, args.source, seed, **given, **more)
    start = time.perf_counter()
    with bench.work(spec, data) as work:
        feature = work.request.source.feature(work.task.form)
        trial = try_out(work, feature, {"test": data.test})
        return trial.outputs["test"], work.task.targets(data.test.labels), start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", default="movies")
    parser.add_argument("--to", dest="target", default="tweets")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--home", type=Path, default=Path("~/.regraft").expanduser())
    parser.add_argument("--strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--options", type=json.loads, default={})
    args = parser.parse_args()
    bench = Bench.at(args.home)
    for seed in range(args.seeds):
        plain, targets, _ = measure(bench, args, "linear-probe", seed, {})
        majority = np.bincount(targets).max() / len(targets)
        hits = (plain.argmax(1) == targets).astype(float)
        print(f"seed {seed}: majority {majority:.3f}, no adaptation {hits.mean():.3f}", flush=True)
        for strategy in args.strategies:
            outputs, _, start = measure(bench, args, strategy, seed, args.options)
            ours = (outputs.argmax(1) == targets).astype(float)
            gain = paired_bootstrap(ours, hits, seed)
            print(
                f"  {strategy:14} {ours.mean():.3f}  {gain.value:+.3f} "
                f"({gain.low:+.3f} to {gain.high:+.3f})  {time.perf_counter() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
