"""What the header of an Ogg Vorbis file would have libvorbis compute: two kilobytes of it can ask
for gigabytes of tables.

Pages as in RFC 3533, codebooks as in the Vorbis I specification, 3.2.1 (xiph.org/vorbis/doc). What
is not exactly as there is refused: the decoder must not find packets other than those seen here.
"""

import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from regraft import InvalidInputError

MOST_ENTRIES = 2**14
MOST_VALUES = 2**19
"""Of one codebook, and of all of a header. libvorbis itself writes up to 6,561, and 88,000."""
MOST_BYTES = 2**17
"""Of the header that holds codebooks; libvorbis itself writes some 5,000."""
MOST_PAGES = 1_000
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
    if not next(packets, b"").startswith(b"\x01vorbis"):
        return
    headers = [packet for packet in islice(packets, 2) if packet.startswith(b"\x05vorbis")]
    if any(len(header) > MOST_BYTES for header in headers):
        raise _damaged()
    for header in headers:
        values, entries = _tables(header)
        if values > MOST_VALUES or entries > MOST_ENTRIES:
            raise InvalidInputError(
                f"The OGG file declares tables of {values:,} values; encoders write far fewer."
            )


def _packets(content: bytes) -> Iterator[bytes]:
    """Those of the stream that the first page belongs to."""
    start, stream, begun = 0, None, bytearray()
    for _ in range(MOST_PAGES):
        if start == len(content):
            return
        serial, continued, lengths, body = _page(content, start)
        start += PAGE.size + len(lengths) + len(body)
        if serial != (stream := serial if stream is None else stream):
            continue
        if continued != bool(begun):
            raise _damaged()
        position = 0
        for length in lengths:
            begun += body[position : position + length]
            position += length
            if length < 255:
                yield bytes(begun)
                begun.clear()
    raise _damaged()


def _page(content: bytes, start: int) -> tuple[int, bool, bytes, bytes]:
    """Serial number, whether it goes on with a packet, lengths of segments, and these."""
    head = content[start : start + PAGE.size]
    if len(head) < PAGE.size:
        raise _damaged()
    sign, layout, flags, _, serial, _, checksum, count = PAGE.unpack(head)
    begin = start + PAGE.size + count
    lengths = content[start + PAGE.size : begin]
    end = begin + sum(lengths)
    if sign != b"OggS" or layout or end > len(content) or checksum != _sum(content[start:end]):
        raise _damaged()
    return serial, bool(flags & CONTINUED), lengths, content[begin:end]


def _sum(page: bytes) -> int:
    """Ogg's checksum: zlib's polynomial, but bits from the other end and nothing inverted."""
    blank = page[: CHECKSUM.start] + bytes(4) + page[CHECKSUM.stop :]
    found = zlib.crc32(blank.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


@lru_cache(64)
def _tables(header: bytes) -> tuple[int, int]:
    """Values of all codebooks, and entries of the largest. Files of one origin share a header."""
    sizes = list(_codebooks(header))
    values = sum(dimensions * entries for dimensions, entries in sizes)
    return values, max((entries for _, entries in sizes), default=0)


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
