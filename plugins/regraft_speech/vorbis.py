"""What the header of an Ogg Vorbis file would have libvorbis compute: two kilobytes of it can ask
for gigabytes of tables.

Pages as in RFC 3533, codebooks as in the Vorbis I specification, 3.2.1 (xiph.org/vorbis/doc). What
is not exactly as there is refused: the decoder must not find packets other than those seen here.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from regraft import InvalidInputError

MOST_DIMENSIONS = 8
MOST_ENTRIES = 2**13
MOST_VALUES = 2**18
"""Of one codebook, and of all of a header. libvorbis itself writes up to 8, 6,561 and 88,000."""
MOST_BITS = 24
"""Of both of a codebook together: libvorbis refuses others, which stand for nothing then. By chance
one in two hundred headers has bits that look like a codebook's beginning."""
MOST_BYTES = 2**17
"""Of the header that holds codebooks; libvorbis itself writes up to 11,000."""
MOST_PAGES = 20_000
"""To the end of the headers, of which one may hold a picture; programs write 4 KiB a page."""
IDENTITY = struct.Struct("<7sIBIiiiBB")
PAGE = struct.Struct("<4sBBqIIIB")
CHECKSUM = slice(22, 26)
CONTINUED = 1
CODEBOOK = b"BCV"
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_tables(content: bytes) -> None:
    """InvalidInputError for a Vorbis file that declares tables greater than encoders write, or
    whose first pages are damaged. Other contents are not looked at."""
    if not content.startswith(b"OggS"):
        return
    packets = _packets(content)
    first = next(packets, b"")
    if not first.startswith(b"\x01vorbis"):
        return
    comment, header = next(packets, b""), next(packets, b"")
    named = comment.startswith(b"\x03vorbis") and header.startswith(b"\x05vorbis")
    if not named or not _begins_well(content, first) or len(header) > MOST_BYTES:
        raise _damaged()
    values, entries, dimensions = _tables(header)
    if values > MOST_VALUES or entries > MOST_ENTRIES or dimensions > MOST_DIMENSIONS:
        raise InvalidInputError(
            f"The OGG file declares tables of {values:,} values; encoders write far fewer."
        )


def _begins_well(content: bytes, first: bytes) -> bool:
    """Whether the first packet is right and alone on its page (4.2.2 of the specification, A.2):
    where it is not, libsndfile loses the memory that it has taken by then."""
    if len(first) != IDENTITY.size or content[PAGE.size - 1] != 1:
        return False
    _, layout, channels, rate, _, _, _, blocks, end = IDENTITY.unpack(first)
    short, long = blocks & 15, blocks >> 4
    return not layout and channels > 0 and rate > 0 and 6 <= short <= long <= 13 and end & 1 == 1


def _packets(content: bytes) -> Iterator[bytes]:
    """Those of the stream that the first page belongs to."""
    start, stream, number, begun = 0, None, 0, bytearray()
    for _ in range(MOST_PAGES):
        if start == len(content):
            return
        page = _page(content, start)
        start += PAGE.size + len(page.lengths) + len(page.body)
        if stream is None:
            stream, number = page.stream, page.number
        if page.stream != stream:
            continue
        if page.continued != bool(begun) or page.number != number:
            raise _damaged()
        position, number = 0, number + 1
        for length in page.lengths:
            begun += page.body[position : position + length]
            position += length
            if length < 255:
                yield bytes(begun)
                begun.clear()
    raise _damaged()


class Page(NamedTuple):
    """What a page says of itself, the lengths of its segments, and these."""

    stream: int
    number: int
    continued: bool
    lengths: bytes
    body: bytes


def _page(content: bytes, start: int) -> Page:
    head = content[start : start + PAGE.size]
    if len(head) < PAGE.size:
        raise _damaged()
    sign, layout, flags, _, stream, number, checksum, count = PAGE.unpack(head)
    begin = start + PAGE.size + count
    lengths = content[start + PAGE.size : begin]
    end = begin + sum(lengths)
    if sign != b"OggS" or layout or end > len(content) or checksum != _sum(content[start:end]):
        raise _damaged()
    return Page(stream, number, bool(flags & CONTINUED), lengths, content[begin:end])


def _sum(page: bytes) -> int:
    """Ogg's checksum: zlib's polynomial, but bits from the other end and nothing inverted."""
    blank = page[: CHECKSUM.start] + bytes(4) + page[CHECKSUM.stop :]
    found = zlib.crc32(blank.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


@lru_cache(64)
def _tables(header: bytes) -> tuple[int, int, int]:
    """Values of all codebooks, entries of the largest, and dimensions. Files of one origin share a
    header."""
    sizes = [
        (max(1, dimensions), entries)
        for dimensions, entries in _codebooks(header)
        if dimensions.bit_length() + entries.bit_length() <= MOST_BITS
    ]
    values = sum(dimensions * entries for dimensions, entries in sizes)
    entries = max((entries for _, entries in sizes), default=0)
    return values, entries, max((dimensions for dimensions, _ in sizes), default=0)


def _codebooks(header: bytes) -> Iterator[tuple[int, int]]:
    """Dimensions and entries of each, which begin at any bit."""
    bits = int.from_bytes(header, "little")
    for shift in range(8):
        shifted = (bits >> shift).to_bytes(len(header), "little")
        position = shifted.find(CODEBOOK)
        while position >= 0:
            found = shifted[position + 3 : position + 8]
            yield int.from_bytes(found[:2], "little"), int.from_bytes(found[2:], "little")
            position = shifted.find(CODEBOOK, position + 1)


def _damaged() -> InvalidInputError:
    return InvalidInputError("The OGG file is damaged: its first pages are not whole.")
