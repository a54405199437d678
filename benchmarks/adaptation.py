"""Both strategies against a plain script on the same rows: `python -m benchmarks.adaptation`.

Real tweets, several splits; the script and regraft take turns, so that both meet the same noise.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.server import REGRAFT, environment
from regraft.cli.demo_data import tweets
from regraft.settings import Settings

TEST_ROWS = 1500


@dataclass(frozen=True)
class Part:
    """One split of the tweets, as files."""

    train: Path
    test: Path
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=400, help="Of linear-probe.")
    parser.add_argument("--full-rows", type=int, default=2000, help="Of full; 0 leaves it out.")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        root = Path(folder)
        probe = [compare_probe(root, split(root, given.rows, s)) for s in range(given.seeds)]
        report_probe(probe)
        if given.full_rows:
            report_full(compare_full(root, split(root, given.full_rows, 0), given.workers))


def split(root: Path, rows: int, seed: int) -> Part:
    data = tweets(Settings().resolved_home / "cache")
    with data.open(encoding="utf-8") as file:
        header, *lines = list(csv.reader(file))
    order = np.random.default_rng(seed).permutation(len(lines))
    part = Part(root / f"train-{rows}-{seed}.csv", root / f"test-{rows}-{seed}.csv", seed)
    held_out = min(TEST_ROWS, len(order) - rows)
    chosen = {part.test: order[:held_out], part.train: order[held_out : held_out + rows]}
    for path, indices in chosen.items():
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *(lines[i] for i in indices)])
    return part


def compare_probe(root: Path, part: Part) -> dict[str, Any]:
    """The script, regraft, and regraft once more on the same data."""
    script = run_script("probe", part)
    first = adapt(root, part, "linear-probe")
    again = adapt(root, part, "linear-probe")
    return {"script": script, "first": first, "again": again}


def compare_full(root: Path, part: Part, workers: int) -> dict[str, Any]:
    script = run_script("full", part)
    ours = adapt(root, part, "full", "--workers", str(workers))
    return {"script": script, "full": ours, "probe": adapt(root, part, "linear-probe")}


def run_script(kind: str, part: Part) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.plain_script", kind]
    return _json([*command, str(part.train), str(part.test), str(part.seed)], None)


def adapt(root: Path, part: Part, strategy: str, *options: str) -> dict[str, Any]:
    command = [*REGRAFT, "adapt", str(part.train), "--test", str(part.test), "--json"]
    command += ["--name", "tweets", "--source", "minilm-l6", "--strategy", strategy]
    command += ["--seed", str(part.seed), *options]
    return _json(command, environment(root / "home", root / "ray"))


def run_regraft(arguments: list[str], env: dict[str, str]) -> dict[str, Any]:
    """The JSON of `regraft adapt`."""
    return _json([*REGRAFT, "adapt", *arguments, "--json"], env)


def _json(command: list[str], env: dict[str, str] | None) -> dict[str, Any]:
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def seconds(result: dict[str, Any]) -> float:
    return float(result["seconds"].get("features", 0) + result["seconds"]["train"])


def report_probe(rounds: list[dict[str, Any]]) -> None:
    ours = [r["first"] for r in rounds]
    accuracy = [r["metrics"]["accuracy"] for r in ours]
    scripts = [r["script"]["accuracy"] for r in rounds]
    print("linear-probe")
    print(f"  accuracy {_spread(accuracy)}; script {_spread(scripts)}; ", end="")
    print(f"simple baseline {_spread([r['baselines']['simple'] for r in ours])}")
    print(f"  least gain over simple: {min(r['gain']['low'] for r in ours):+.3f} (interval's low)")
    ratios = [seconds(r["first"]) / r["script"]["seconds"] for r in rounds]
    print(f"  features + train: {_spread([seconds(r) for r in ours])} s, ", end="")
    print(f"{_spread(ratios)} of the script's")
    faster = [seconds(r["first"]) / max(seconds(r["again"]), 1e-9) for r in rounds]
    print(f"  again on the same data and source: {_spread(faster)} times as fast")
    print(f"  the source's first export: {ours[0]['seconds']['source_export']:.1f} s")
    worst = max(r["parity"]["max_abs_diff"] for r in ours)
    agreement = min(r["parity"]["argmax_agreement"] for r in ours)
    print(f"  parity: {worst:.1e} at most, agreement {agreement:.0%} at least")


def report_full(result: dict[str, Any]) -> None:
    script, full, probe = result["script"], result["full"], result["probe"]
    print("full")
    print(f"  accuracy {full['metrics']['accuracy']:.3f}; ", end="")
    print(f"script {script['accuracy']:.3f}; linear-probe {probe['metrics']['accuracy']:.3f}")
    print(f"  train: {full['seconds']['train']:.0f} s with Ray's start, ", end="")
    print(f"{full['seconds']['train'] / script['seconds']:.2f} of the script's")


def _spread(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {spread:.3f}"


if __name__ == "__main__":
    main()
