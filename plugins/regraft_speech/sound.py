"""From the bytes of a sound file to samples of one channel."""

import io
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import numpy as np

from regraft import AudioInputs, InvalidInputError, TooLargeError
from regraft_speech.vorbis import check_tables

FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "MPEG")
NAMES = "WAV, FLAC, OGG and MP3"
MAX_SECONDS = 300
RATES = (1_000, 400_000)
MAX_VALUES = 40_000_000
"""Samples of all channels: what five minutes of stereo at 48 kHz have, and some more."""
MOST_TAGS = 8
MOST_CUES = 16
"""Lists of cue points in a WAV: each can send libsndfile through 60 KiB that it reads again."""
MOST_OPEN = 64
QUICK = 0.002
"""Seconds to open a file that may stay open: what takes longer takes megabytes."""
OPEN: "WeakSet[Any]" = WeakSet()
"""Files that stay open until they are read, or nobody wants them."""
UNKNOWN_SIZE = (0, 0xFFFFFFFF)
"""What programs write into a WAV header when they cannot know the size yet."""


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """A sound file of which only the header was read; InvalidInputError if it is none or damaged,
    TooLargeError if it declares more than five minutes."""
    kept = content.take() if isinstance(content, Sound) else None
    with _understood(), kept or _open(content) as file:
        yield file


def _open(content: bytes) -> Any:
    import soundfile

    bare = _without_tags(content)
    if not _known(bare):
        raise InvalidInputError(f"The content is no sound file of the kinds {NAMES}.")
    if bare[:3] == b"RIF" and bare.count(b"cue ") > MOST_CUES:
        raise InvalidInputError(f"The WAV file holds more than {MOST_CUES} lists of cue points.")
    check_tables(bare)
    file = soundfile.SoundFile(io.BytesIO(bare))
    try:
        _check_header(file)
    except BaseException:
        file.close()
        raise
    return file


def _without_tags(content: bytes) -> bytes:
    """What follows the ID3v2 tags (id3.org, id3v2.4.0-structure, 3.1), which libsndfile would skip
    by rules of its own."""
    start = 0
    for _ in range(MOST_TAGS):
        head = content[start : start + 10]
        if len(head) < 10 or not head.startswith(b"ID3"):
            break
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        start += 10 + size + (10 if head[5] & 0x10 else 0)
    return content[start:] if start else content


def _known(content: bytes) -> bool:
    """Whether it begins as one of ours does: libsndfile would try its luck with 25 other kinds."""
    if content[:4] in (b"RIFF", b"RIFX"):
        return content[8:12] == b"WAVE"
    return content[:4] in (b"fLaC", b"OggS") or (content[:1] == b"\xff" and content[1:2] >= b"\xe0")


@contextmanager
def _understood() -> Iterator[None]:
    import soundfile

    try:
        yield
    except soundfile.SoundFileError as error:
        reason = str(error).removeprefix("Error opening <_io.BytesIO object")
        raise InvalidInputError(
            f"The content is no sound file of the kinds {NAMES}, or it is damaged: "
            f"{reason.rpartition(': ')[2]}"
        ) from error


def _check_header(file: Any) -> None:
    if file.format not in FORMATS:
        raise InvalidInputError(f"A sound file of the kind {file.format} cannot be used: {NAMES}.")
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise InvalidInputError(f"A sample rate of {file.samplerate:,} Hz cannot be used.")
    seconds = file.frames / file.samplerate
    if seconds > MAX_SECONDS or file.frames * file.channels > MAX_VALUES:
        raise TooLargeError(
            f"The sound lasts {seconds:,.0f} s in {file.channels} channels; "
            f"at most {MAX_SECONDS} s and {MAX_VALUES:,} samples are taken."
        )
    if file.frames == 0:
        raise InvalidInputError("The sound file holds no sound.")


class Sound(bytes):
    """The content of a sound file that was looked at. Of so many at a time the file stays open
    until it is read for the first time: to open one takes as long as to read half a second of it.
    Real ones take up to 160 KiB; one that took long to open is closed at once."""

    seconds: float
    kept: list[Any]

    @classmethod
    def of(cls, content: bytes) -> "Sound":
        """Raises what `opened` raises."""
        sound = cls(content)
        begin = time.thread_time()
        with _understood():
            file = _open(content)
        quick = time.thread_time() - begin < QUICK
        sound.seconds, sound.kept = float(file.frames / file.samplerate), []
        if quick and len(OPEN) < MOST_OPEN:
            OPEN.add(file)
            sound.kept.append(file)
        else:
            file.close()
        return sound

    def take(self) -> Any:
        """The open file, for who is the first to ask: libsndfile is not made for two at a time."""
        try:
            file = self.kept.pop()
        except IndexError:
            return None
        OPEN.discard(file)
        return file

    def __reduce__(self) -> Any:
        return Sound.of, (bytes(self),)


def duration(content: bytes) -> float:
    """In seconds, as the header says."""
    if isinstance(content, Sound):
        return content.seconds
    with opened(content) as file:
        return float(file.frames / file.samplerate)


def decode(content: bytes, longest: float = MAX_SECONDS) -> tuple[Any, int]:
    """The first `longest` seconds as float32 from -1 to 1, channels averaged, and their rate in
    hertz. Raises what `opened` raises, and InvalidInputError for a file that was cut off."""
    check_whole(content)
    with opened(content) as file:
        wanted = min(file.frames, int(longest * file.samplerate) + 1)
        values = file.read(wanted, dtype="float32", always_2d=True)
        if len(values) < wanted and file.format not in ("MP3", "MPEG"):
            raise InvalidInputError(
                f"The sound file is cut off: it declares {file.frames:,} samples and holds fewer."
            )
        if not np.isfinite(values).all():
            raise InvalidInputError("The sound file holds values that are not finite.")
        return np.clip(values.mean(1), -1, 1), int(file.samplerate)


def check_whole(content: bytes) -> None:
    """InvalidInputError for a WAV or OGG that ends early, which libsndfile reads without a word:
    RIFF declares its size, and the last page of Ogg says that it is the last (RFC 3533, 6)."""
    if content[:4] == b"RIFF" and len(content) >= 8:
        (declared,) = struct.unpack("<I", content[4:8])
        if declared not in UNKNOWN_SIZE and declared + 8 > len(content) + 1:
            raise InvalidInputError(
                f"The WAV file is cut off: it declares {declared + 8:,} bytes and has "
                f"{len(content):,}."
            )
    if content[:4] == b"OggS":
        page = content.rfind(b"OggS")
        if not _ends_with_page(content[page:]):
            raise InvalidInputError("The OGG file is cut off: its last page is missing.")


def _ends_with_page(page: bytes) -> bool:
    """Whether this is a whole page that is marked as the last."""
    if len(page) < 27 or not page[5] & 4:
        return False
    segments = page[27 : 27 + page[26]]
    return len(segments) == page[26] and len(page) >= 27 + page[26] + sum(segments)


def samples(row: Any, inputs: AudioInputs) -> Any:
    """The row, a file's bytes or an array [L] at the source model's rate, cut at the longest."""
    if isinstance(row, bytes):
        values, rate = decode(row, inputs.longest)
        row = resampled(values, rate, inputs.rate)
    return row[: round(inputs.longest * inputs.rate)]


def resampled(values: Any, rate: int, wanted: int) -> Any:
    """At `wanted` hertz, by soxr's high quality filter."""
    if rate == wanted:
        return values
    import soxr

    return soxr.resample(values, rate, wanted).astype(np.float32)
