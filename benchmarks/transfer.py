"""Every strategy on real data with few labels and with more: accuracy, seconds, what learnt, size.

`python -m benchmarks.transfer --data tweets stamps tones --rows 8 32 200 --seeds 3`. Each trial
learns in this process on so many threads; the accuracy is that of the test part, the seconds are
those of the processor, to learn. What is already in `--out` is not measured again: the whole takes
hours, and `benchmarks/measured/transfer.jsonl` has what was measured so far, with one thread.
`auto` takes one by these trials' validation losses and lets it learn from all labels; it costs that
and all of its candidates, of which ASHA ends some within a budget.
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
from regraft.adaptations.refit import refit
from regraft.adaptations.request import check_request, with_options
from regraft.adaptations.search import Scored, choose, margin
from regraft.adaptations.training import here, train
from regraft.adaptations.trial import answers, head_of_trained, stopwatch, try_out
from regraft.domain import DataSet
from regraft.errors import RegraftError
from regraft.evaluation.calibration import measured

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
            trial = try_out(work, choice.feature, parts)
            for part, examples in parts.items():
                targets = work.task.targets(examples.labels)
                metrics = measured(work.task, trial.outputs[part], targets)
                row[part] = metrics["accuracy"]
                row[f"{part}_loss"] = metrics["loss"]
                if part == "validation":
                    row["calibrated_loss"] = metrics["calibrated_loss"]
                    if work.request.strategy.freezes_backbone:
                        given = trial.outputs[part], targets
                        row["margin"] = margin(work.task, len(data.train), *given)
    except RegraftError as error:
        return {**row, "error": str(error)}
    return {
        **row,
        "feature": choice.feature.name,
        "seconds": trial.seconds,
        "processor_seconds": trial.processor_seconds,
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

    def add(row: JSON | None) -> None:
        if row is None:
            return
        done.append(row)
        with args.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)

    known = {(row["data"], row["rows"], row["seed"], row["strategy"]) for row in done}
    for name in args.data:
        strategies = args.strategies or list(applicable(bench, name))
        for seed in range(args.seeds):
            for rows in args.rows:
                data = cell(bench, name, rows, seed)
                if data is None:
                    continue
                for strategy in strategies:
                    if (name, rows, seed, strategy) not in known:
                        add(measure(bench, (name, rows, seed), data, strategy))
                if (name, rows, seed, "auto") not in known:
                    add(measure_auto(bench, data, of(done, (name, rows, seed))))
    return done


def of(rows: list[JSON], what: tuple[str, int, int]) -> list[JSON]:
    """Those of a cell and a seed."""
    return [row for row in rows if (row["data"], row["rows"], row["seed"]) == what]


def measure_auto(bench: Bench, data: DataSet, rows: list[JSON]) -> JSON | None:
    """What `auto` makes of a cell and a seed of which these rows are, if all of its candidates are
    among them."""
    known = {row["strategy"]: row for row in rows if "error" not in row}
    tried = [known[name] for name in POOLED if name in known]
    if len(tried) < len(POOLED):
        return None
    scored = []
    for row in tried:
        strategy = with_options(bench.plugins.strategy(row["strategy"]), {}, row["seed"])
        figures = row["validation"], row["calibrated_loss"], row["seconds"]
        scored.append(
            Scored(strategy, *figures, margin=row["margin"] if strategy.freezes_backbone else 0.0)
        )
    best = choose(scored).strategy
    found = known[best.name]
    cost = sum(row["processor_seconds"] for row in tried)
    try:
        more = {} if best.freezes_backbone else again(bench, data, found)
    except RegraftError as error:
        return {**found, "strategy": "auto", "error": str(error)}
    cost += more.pop("refit_seconds", 0.0)
    return {**found, "taken": best.name, **more, "strategy": "auto", "processor_seconds": cost}


def again(bench: Bench, data: DataSet, row: JSON) -> JSON:
    """What the strategy of this row makes of all labels. It is trained as for its row first."""
    spec = spec_of(bench, row["data"], row["seed"], strategy=row["strategy"])
    with bench.work(spec, data) as work, tempfile.TemporaryDirectory() as folder:
        feature = choose_feature(work).feature
        trained = train(work, work.request.strategy, feature, here)
        taken = stopwatch()
        final = refit(work, feature, trained, here, Path(folder))
        _, seconds = taken()
        outputs = answers(work, final, head_of_trained(work, final), data.test)
        metrics = work.task.metrics(outputs, work.task.targets(data.test.labels))
    return {"test": metrics["accuracy"], "test_loss": metrics["loss"], "refit_seconds": seconds}


def table(rows: list[JSON]) -> None:
    """Means over the seeds, the best first."""
    cells: dict[tuple[str, int], dict[str, list[JSON]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if "error" not in row:
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
        if "auto" in means:
            single = {s: found for s, found in strategies.items() if s != "auto"}
            behind = max(means[s] for s in single) - means["auto"]
            costs = {
                s: statistics.mean(r["processor_seconds"] for r in found)
                for s, found in strategies.items()
            }
            ratio = costs["auto"] / statistics.median(costs[s] for s in single)
            print(f"  auto: {behind:+.4f} behind the best, {ratio:.2f} times the median's seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=["tweets", "stamps", "tones"])
    parser.add_argument("--rows", nargs="*", type=int, default=[8, 32, 200])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", nargs="*")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--out", type=Path, default=Path("transfer.jsonl"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench.at(args.home or Path(scratch), args.threads)
        table(run(bench, args))


if __name__ == "__main__":
    main()
