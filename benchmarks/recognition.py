"""Speech recognition of a small vocabulary by voices that training never heard; all are synthetic:
`python -m benchmarks.recognition`. It needs the program espeak-ng.
"""

import argparse
import csv
import itertools
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.adaptation import run_regraft
from benchmarks.server import environment

NUMBERS = "zero one two three four five six seven eight nine"
WORDS = f"{NUMBERS} yes no left right up down stop go".split()
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029")
VARIANTS = ("", "+f2", "+m3", "+f4", "+m7")
ROWS_A_VOICE = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        root = Path(folder)
        table = speak(root / "speech", np.random.default_rng(0))
        command = [str(table), "--name", "words", "--task", "speech-recognition"]
        command += ["--source", "whisper-tiny-en", "--group-column", "voice", "--strategy", "full"]
        command += ["--workers", str(given.workers), "--option", f"epochs={given.epochs}"]
        command += ["--option", "learning_rate=4e-4", "--option", "patience=4"]
        result = run_regraft(command, environment(root / "home", root / "ray"))
    metrics = result["metrics"]
    print(f"synthetic voices, {len(WORDS)} words, {result['rows']['train']} rows to train on")
    print(f"  held-out voices: WER {metrics['wer']:.3f}, CER {metrics['cer']:.3f}")
    print(f"  nearest training row: WER {1 - result['baselines']['simple']:.3f}")
    print(f"  {result['seconds']['total']:.0f} s in all")


def speak(folder: Path, rng: np.random.Generator) -> Path:
    """A table with path, text and voice of sounds of one to three words."""
    folder.mkdir()
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "text", "voice"])
        for voice in map("".join, itertools.product(ACCENTS, VARIANTS)):
            for number in range(ROWS_A_VOICE):
                path = folder / f"{voice}-{number}.wav"
                text = " ".join(rng.choice(WORDS, rng.integers(1, 4)))
                speed, pitch = rng.integers(130, 190), rng.integers(30, 70)
                command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch)]
                subprocess.run([*command, "-w", str(path), text], check=True)
                writer.writerow([path.name, text, voice])
    return folder / "data.csv"


if __name__ == "__main__":
    main()
