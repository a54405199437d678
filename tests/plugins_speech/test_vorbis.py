"""Files of Ogg Vorbis that ask for tables of gigabytes are refused, and real ones are not."""

import contextlib
import io
import struct
import time
from collections.abc import Sequence

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from regraft.errors import InvalidInputError
from regraft_speech.sound import Sound
from regraft_speech.vorbis import MOST_PAGES, _sum, check_tables

IDENTITY = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, 16_000, 0, 0, 0, 0xB8, 1)
COMMENT = b"\x03vorbis" + bytes(8) + b"\x01"


class Bits:
    """Numbers of so many bits, the lowest first."""

    def __init__(self) -> None:
        self.value = self.count = 0

    def put(self, *numbers: tuple[int, int]) -> None:
        for value, count in numbers:
            self.value |= value << self.count
            self.count += count

    def written(self) -> bytes:
        return self.value.to_bytes((self.count + 7) // 8, "little")


def setup(books: Sequence[tuple[int, int]]) -> bytes:
    """A header with codebooks of so many dimensions and 2**n entries, and one of all else."""
    bits = Bits()
    bits.put((5, 8), (int.from_bytes(b"vorbis", "little"), 48), (len(books) - 1, 8))
    for dimensions, power in books:
        entries = 2**power
        values = int(entries ** (1 / dimensions) + 1e-9) if dimensions else 1
        bits.put((0x564342, 24), (dimensions, 16), (entries, 24))
        bits.put((1, 1), (power - 1, 5), (entries, power + 1))
        bits.put((1, 4), (0, 32), (0, 32), (0, 4), (0, 1), (0, values))
    bits.put((0, 6), (0, 16))
    bits.put((0, 6), (1, 16), (0, 5), (0, 2), (0, 4))
    bits.put((0, 6), (0, 16), (0, 72), (0, 6), (0, 8), (0, 4))
    bits.put((0, 6), (0, 16), (0, 1), (0, 1), (0, 2), (0, 24))
    bits.put((0, 6), (0, 41), (1, 1))
    return bits.written()


def framed(number: int, lengths: bytes, body: bytes, flags: int, serial: int, ends: int) -> bytes:
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, ends, serial, number, 0, len(lengths))
    whole = head + lengths + body
    return whole[:22] + struct.pack("<I", _sum(whole)) + whole[26:]


def page(number: int, *packets: bytes, flags: int = 0, serial: int = 7, ends: int = 0) -> bytes:
    """A page of whole packets. `ends` is where the sound would end."""
    lengths = b"".join(
        b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets
    )
    return framed(number, lengths, b"".join(packets), flags, serial, ends)


def spread(number: int, packet: bytes) -> bytes:
    """A packet over as many pages as there can be."""
    parts = [packet[start : start + 255] for start in range(0, len(packet) + 1, 255)]
    return b"".join(
        framed(number + n, bytes([len(part)]), part, int(n > 0), 7, 0)
        for n, part in enumerate(parts)
    )


def vorbis(*books: tuple[int, int]) -> bytes:
    return (
        page(0, IDENTITY, flags=2)
        + page(1, COMMENT, setup(books))
        + page(2, bytes(10), flags=4, ends=1600)
    )


def real(rate: int, channels: int, quality: float, subtype: str = "VORBIS") -> bytes:
    file, values = io.BytesIO(), np.random.default_rng(0).normal(0, 0.1, (rate // 4, channels))
    soundfile.write(file, values, rate, subtype, format="OGG", compression_level=quality)
    return file.getvalue()


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_what_encoders_write_is_taken(rate: int, channels: int) -> None:
    for quality in (0, 0.4, 0.9):
        content = real(rate, channels, quality)
        check_tables(content)
        assert Sound.of(content).seconds == pytest.approx(0.25, abs=0.01)


def test_other_contents_are_not_looked_at() -> None:
    for content in (b"", b"RIFF", b"a text", real(48_000, 1, 0.5, "OPUS")):
        check_tables(content)


@pytest.mark.parametrize(
    "books", [[(16, 18)], [(1, 14)], [(9, 2)], [(8, 12)] * 9, [(0, 13)] * 255, [(16, 18)] * 255]
)
def test_tables_that_no_encoder_writes_are_refused_at_once(books: list[tuple[int, int]]) -> None:
    content = vorbis(*books)
    assert len(content) < 6_000
    begin = time.thread_time()
    with pytest.raises(InvalidInputError, match="tables of"):
        Sound.of(content)
    assert time.thread_time() - begin < 1


def test_what_is_built_here_is_what_libvorbis_reads() -> None:
    """The file that is refused is one that would be taken but for its size."""
    content = vorbis((4, 10))
    check_tables(content)
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        assert (file.format, file.subtype, file.samplerate) == ("OGG", "VORBIS", 16_000)


def test_codebooks_behind_another_stream_or_over_two_pages_are_found() -> None:
    first, header = page(0, IDENTITY, flags=2), setup([(16, 18)])
    between = page(0, b"something else", flags=2, serial=8)
    with pytest.raises(InvalidInputError, match="tables of"):
        check_tables(first + between + page(1, COMMENT, header))
    for small in range(20):
        header = setup([(1, 3)] * small + [(16, 18)] + [(1, 3)] * 20)
        with pytest.raises(InvalidInputError, match="tables of 4,"):
            check_tables(first + page(1, COMMENT) + spread(2, header))


@pytest.mark.parametrize(
    "pages",
    [
        b"between" + page(1, COMMENT, setup([(16, 18)])),
        page(1, COMMENT)[:-1] + b"x" + page(2, setup([(16, 18)])),
        page(1, COMMENT, setup([(16, 18)]), flags=1),
        page(1, b"", serial=9) * MOST_PAGES + page(1, COMMENT, setup([(16, 18)])),
        page(1, COMMENT)[:20],
        b"",
        page(1, COMMENT),
        page(1, COMMENT) + page(3, setup([(4, 10)])),
        page(1, setup([(4, 10)]), COMMENT),
    ],
    ids=[
        "between",
        "checksum",
        "continued",
        "many pages",
        "cut",
        "one header",
        "two headers",
        "a page is missing",
        "another order",
    ],
)
def test_pages_that_a_decoder_could_read_otherwise_are_refused(pages: bytes) -> None:
    with pytest.raises(InvalidInputError, match="damaged"):
        check_tables(page(0, IDENTITY, flags=2) + pages)


@pytest.mark.parametrize(
    "identity",
    [
        IDENTITY + b"more",
        IDENTITY[:-1] + b"\0",
        IDENTITY[:11] + b"\0" + IDENTITY[12:],
        IDENTITY[:-2] + b"\x5e\1",
    ],
    ids=["long", "no end", "no channels", "blocks"],
)
def test_a_first_header_that_libvorbis_refuses_is_refused_before(identity: bytes) -> None:
    """It would keep the memory that the others take."""
    with pytest.raises(InvalidInputError, match="damaged"):
        check_tables(page(0, identity, flags=2) + page(1, COMMENT, setup([(4, 10)])))


def test_a_header_with_a_large_picture_is_taken() -> None:
    """Some programs write pages of four kilobytes."""
    picture, parts = COMMENT + bytes(5_000_000), []
    most = 16 * 255
    for start in range(0, len(picture), most):
        part = picture[start : start + most]
        lengths = b"\xff" * (len(part) // 255) + bytes([len(part) % 255])[: len(part) < most]
        parts.append(framed(1 + len(parts), lengths, part, int(start > 0), 7, 0))
    end = page(1 + len(parts), setup([(4, 10)])) + page(2 + len(parts), bytes(10), flags=4, ends=9)
    check_tables(page(0, IDENTITY, flags=2) + b"".join(parts) + end)


@pytest.mark.parametrize("size", [0, 1, 10])
def test_a_tag_before_it_hides_nothing(size: int) -> None:
    """libsndfile skips such tags, and begins to read what follows."""
    for padding in (0, 2, size, size + 2):
        tag = b"ID3\3\0\0\0\0\0" + bytes([size]) + bytes(padding)
        for tags in (tag, tag * 3):
            with pytest.raises(InvalidInputError):
                Sound.of(tags + vorbis((16, 18)))


@given(st.integers(0, 5_000), st.binary(min_size=1, max_size=8), st.booleans())
def test_whatever_stands_there_is_taken_or_refused(
    place: int, found: bytes, inserted: bool
) -> None:
    content = real(8_000, 1, 0.4)
    behind = place if inserted else place + len(found)
    with contextlib.suppress(InvalidInputError):
        check_tables(content[:place] + found + content[behind:])
