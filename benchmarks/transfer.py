"""Every strategy on real data with few labels and with more: accuracy, seconds, what learnt, size.

`python -m benchmarks.transfer --data tweets stamps tones --rows 8 32 200 --seeds 3`. Each trial
learns in this process on all of its threads; the accuracy is that of the test part, the seconds are
those of the processor. What is already in `--out` is not measured again. `auto` is what it takes by
these trials' validation losses; it costs as much as all of its candidates, of which ASHA ends some.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.cells import Bench, cell, spec_of
from regraft.adaptations.candidates import POOLED
from regraft.adaptations.choice import choose_feature
from regraft.adaptations.request import check_request, with_options
from regraft.adaptations.search import Scored, choose
from regraft.adaptations.trial import try_out
from regraft.domain import DataSet
from regraft.errors import RegraftError

LEFT_OUT = ("as-is", "scratch")
JSON = dict[str, Any]


def applicable(bench: Bench, name: str) -> Iterator[str]:
    """The strategies that fit the data's source model, cross-domain ones aside."""
    for strategy, _, kind in bench.plugins.strategies.items_once():
        if strategy in LEFT_OUT or kind.unlabelled == "needed":
            continue
        try:
            check_request(spec_of(bench, name, 0, strategy=strategy), bench.plugins)
        except RegraftError:
            continue
        yield strategy


def measure(bench: Bench, what: tuple[str, int, int], data: DataSet, strategy: str) -> JSON:
    name, rows, seed = what
    spec = spec_of(bench, name, seed, strategy=strategy)
    row: JSON = {"data": name, "rows": rows, "seed": seed, "strategy": strategy}
    start = time.perf_counter()
    try:
        with bench.work(spec, data) as work:
            choice = choose_feature(work)
            parts = {"validation": data.validation, "test": data.test}
            processor = time.process_time()
            trial = try_out(work, choice.feature, parts)
            processor = time.process_time() - processor
            for part, examples in parts.items():
                metrics = work.task.metrics(trial.outputs[part], work.task.targets(examples.labels))
                row[part] = metrics["accuracy"]
                row[f"{part}_loss"] = metrics["loss"]
    except RegraftError as error:
        return {**row, "error": str(error)}
    return {
        **row,
        "feature": choice.feature.name,
        "seconds": trial.seconds,
        "processor_seconds": processor,
        "whole_seconds": time.perf_counter() - start,
        "learnt": trial.learnt,
        "parameters": trial.parameters,
    }


def run(bench: Bench, args: Any) -> list[JSON]:
    done = (
        [json.loads(line) for line in args.out.read_text().splitlines()]
        if args.out.exists()
        else []
    )
    known = {(row["data"], row["rows"], row["seed"], row["strategy"]) for row in done}
    for name in args.data:
        strategies = args.strategies or list(applicable(bench, name))
        for seed in range(args.seeds):
            for rows in args.rows:
                data = cell(bench, name, rows, seed)
                for strategy in strategies if data else ():
                    if (name, rows, seed, strategy) in known:
                        continue
                    assert data is not None
                    row = measure(bench, (name, rows, seed), data, strategy)
                    done.append(row)
                    with args.out.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(row, flush=True)
    return done


def auto(bench: Bench, seed: list[JSON]) -> JSON | None:
    """What `auto` takes of one seed's trials, if all of its candidates are among them."""
    known = {row["strategy"]: row for row in seed}
    tried = [known[name] for name in POOLED if name in known]
    if len(tried) < len(POOLED):
        return None
    scored = []
    for row in tried:
        strategy = with_options(bench.plugins.strategy(row["strategy"]), {}, row["seed"])
        scored.append(Scored(strategy, row["validation"], row["validation_loss"], row["seconds"]))
    taken = known[choose(scored).strategy.name]
    cost = sum(row["processor_seconds"] for row in tried)
    return {**taken, "strategy": "auto", "processor_seconds": cost}


def with_auto(bench: Bench, rows: list[JSON]) -> list[JSON]:
    seeds: dict[tuple[str, int, int], list[JSON]] = defaultdict(list)
    for row in rows:
        if "error" not in row:
            seeds[row["data"], row["rows"], row["seed"]].append(row)
    taken = [auto(bench, seed) for seed in seeds.values()]
    return [*(row for seed in seeds.values() for row in seed), *(row for row in taken if row)]


def table(rows: list[JSON]) -> None:
    """Means over the seeds, the best first."""
    cells: dict[tuple[str, int], dict[str, list[JSON]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cells[row["data"], row["rows"]][row["strategy"]].append(row)
    for (name, count), strategies in cells.items():
        print(f"\n{name}, {count} rows a class")
        print(
            f"  {'strategy':20} {'accuracy':>15} {'seconds':>8} {'learnt':>12} {'parameters':>12}"
        )
        means = {s: statistics.mean(r["test"] for r in found) for s, found in strategies.items()}
        for strategy in sorted(means, key=lambda s: -means[s]):
            found = strategies[strategy]
            tests = [row["test"] for row in found]
            spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
            seconds = statistics.mean(row["processor_seconds"] for row in found)
            accuracy = f"{means[strategy]:.3f} ± {spread:.3f}"
            print(
                f"  {strategy:20} {accuracy:>15} {seconds:8.1f} {found[0]['learnt']:12,} "
                f"{found[0]['parameters']:12,}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=["tweets", "stamps", "tones"])
    parser.add_argument("--rows", nargs="*", type=int, default=[8, 32, 200])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", nargs="*")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--out", type=Path, default=Path("transfer.jsonl"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench.at(args.home or Path(scratch))
        table(with_auto(bench, run(bench, args)))


if __name__ == "__main__":
    main()
