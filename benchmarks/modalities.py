"""Images and sounds: the probe on several splits, and fine-tuning from it on two workers:
`python -m benchmarks.modalities`. Data are those of the demos.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.adaptation import run_regraft
from benchmarks.server import environment
from regraft.cli.demo_data import stamps, tones
from regraft.settings import Settings


@dataclass(frozen=True)
class Case:
    """Rows, and how they are split: about 180 drawings or 400 syllables to train on."""

    name: str
    words: tuple[str, ...]


def cases(cache: Path) -> list[Case]:
    image = ("--task", "image-classification", "--source", "efficientnet-lite0")
    audio = ("--task", "audio-classification", "--source", "whisper-tiny-en")
    sound = (*audio, "--group-column", "syllable", "--limit-rows", "880")
    return [
        Case("drawings", (str(stamps(cache)), *image, "--split", ".61,.08,.31")),
        Case("tones", (str(tones(cache)), *sound, "--split", ".455,.06,.485")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trained", type=int, default=1, help="Seeds that are fine-tuned too.")
    given = parser.parse_args()
    cache = Settings().resolved_home / "cache"
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        root = Path(folder)
        for case in cases(cache):
            report(case, [probe(root, case, seed) for seed in range(given.seeds)])
            for seed in range(given.trained):
                compare(root, case, seed)


def probe(root: Path, case: Case, seed: int, *more: str) -> dict[str, Any]:
    words = [*case.words, "--name", case.name, "--seed", str(seed), *more]
    return run_regraft(words, environment(root / "home", root / "ray"))


def report(case: Case, results: list[dict[str, Any]]) -> None:
    accuracy = [r["metrics"]["accuracy"] for r in results]
    simple = [r["baselines"]["simple"] for r in results]
    print(f"{case.name}: {results[0]['rows']}")
    print(f"  linear-probe {mean(accuracy):.3f} ± {stdev(accuracy):.3f}, ", end="")
    print(f"least {min(accuracy):.3f}; simple baseline {mean(simple):.3f}")
    print(f"  features: {', '.join(r['feature'] for r in results)}")
    worst = max(r["parity"]["max_abs_diff"] for r in results)
    agreement = min(r["parity"]["argmax_agreement"] for r in results)
    print(f"  parity: {worst:.1e} at most, agreement {agreement:.0%} at least", flush=True)


def compare(root: Path, case: Case, seed: int) -> None:
    """The probe and what training makes of it, on the same split."""
    before = probe(root, case, seed)
    for strategy in ("lp-ft", "full"):
        rate = ("--option", "learning_rate=1e-4", "--option", "epochs=8")
        more = rate if strategy == "full" else ()
        after = probe(root, case, seed, "--strategy", strategy, "--workers", "2", *more)
        print(
            f"  seed {seed}, two workers: {strategy} {after['metrics']['accuracy']:.3f}, "
            f"linear-probe {before['metrics']['accuracy']:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
