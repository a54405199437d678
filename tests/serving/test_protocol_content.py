"""Content encodings: what compressors write is read, and bombs stay small."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regraft.errors import TooLargeError
from regraft.serving.protocol import UnsupportedEncodingError, decode_content
from regraft.serving.tensors import BadRequestError

MIB = 2**20


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


COMPRESSORS = [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
compressors = pytest.mark.parametrize(("encoding", "compress"), COMPRESSORS)


@compressors
@given(data=st.binary(max_size=2000) | st.integers(0, 300_000).map(bytes))
def test_compressed_bodies_are_read(
    encoding: str, compress: Callable[[bytes], bytes], data: bytes
) -> None:
    assert decode_content(compress(data), encoding, len(data)) == data


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
def test_a_plain_body_is_itself(encoding: str | None) -> None:
    assert decode_content(b"{}", encoding, 2) == b"{}"


@pytest.mark.parametrize("encoding", ["GZIP", " gzip ", "x-gzip"])
def test_encodings_are_named_as_http_does(encoding: str) -> None:
    assert decode_content(gzip.compress(b"{}"), encoding, 2) == b"{}"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip;q=1", "x" * 1000])
def test_other_encodings_are_unsupported(encoding: str) -> None:
    with pytest.raises(UnsupportedEncodingError, match="Known: gzip, deflate") as caught:
        decode_content(b"{}", encoding, 100)
    assert caught.value.status == 415
    assert len(str(caught.value)) < 200


@compressors
def test_one_byte_over_the_limit_is_too_large(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(TooLargeError, match="larger than 99999 bytes"):
        decode_content(compress(bytes(100_000)), encoding, 99_999)


def test_a_plain_body_over_the_limit_is_too_large() -> None:
    with pytest.raises(TooLargeError, match="larger than 2 bytes"):
        decode_content(b"abc", None, 2)


@compressors
def test_a_bomb_never_takes_more_memory_than_the_limit(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    bomb = compress(bytes(64 * MIB))
    tracemalloc.start()
    with pytest.raises(TooLargeError):
        decode_content(bomb, encoding, MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * MIB


def test_gzip_members_are_joined() -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    assert decode_content(body, "gzip", 100) == b"one two"


def test_the_limit_counts_all_gzip_members() -> None:
    with pytest.raises(TooLargeError):
        decode_content(gzip.compress(b"12345") * 3, "gzip", 14)


def test_very_many_gzip_members_are_refused() -> None:
    with pytest.raises(BadRequestError, match="1024"):
        decode_content(gzip.compress(b"") * 1025, "gzip", 100)


@compressors
def test_trailing_bytes_are_refused(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadRequestError):
        decode_content(compress(b"data") + b"more than this", encoding, 100)


@compressors
def test_truncated_bodies_are_refused(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    body = compress(b"some data")
    for end in range(len(body)):
        with pytest.raises(BadRequestError):
            decode_content(body[:end], encoding, 100)


@settings(max_examples=200)
@given(st.binary(), st.sampled_from(["gzip", "deflate"]), st.booleans())
def test_arbitrary_bytes_are_read_or_bad_requests(body: bytes, encoding: str, framed: bool) -> None:
    start = {"gzip": gzip.compress(b""), "deflate": b"\x78\x9c"}[encoding][:10] if framed else b""
    with suppress(BadRequestError, TooLargeError):
        assert len(decode_content(start + body, encoding, 1000)) <= 1000
