"""How the bytes of an image file become pixels."""

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from regraft.contract import ImageInputs
from regraft.errors import InvalidInputError, TooLargeError
from regraft_image.pixels import decode, open_image, pixels

INPUTS = ImageInputs((), 4, 4, 5)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(width: int = 8, height: int = 4) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_three_formats_are_read(kind: str) -> None:
    found = np.asarray(decode(encoded(halves(32, 16), kind))).astype(int)
    assert found.shape == (16, 32, 3)
    assert np.abs(found[8, 2] - (255, 0, 0)).max() < 40
    assert np.abs(found[8, 30] - (0, 0, 255)).max() < 40


def test_a_photo_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    upright = decode(encoded(halves(), "JPEG", exif=exif, quality=95))
    assert upright.size == (4, 8)
    assert np.asarray(upright)[1, 1, 0] > 200


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(halves(), exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert np.array_equal(np.asarray(decode(content)), np.asarray(expected))


@given(st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_damaged_metadata_is_no_internal_error(random: Any) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    exif[0x8769] = {0x9003: "2026:01:01 00:00:00", 0x829A: 0.01}
    content = bytearray(encoded(halves(), "JPEG", exif=exif))
    for _ in range(4):
        content[random.randrange(20, 160)] = random.randrange(256)
    with contextlib.suppress(InvalidInputError, TooLargeError):
        assert decode(bytes(content)).mode == "RGB"


def test_long_texts_in_a_png_are_refused() -> None:
    info = PngImagePlugin.PngInfo()
    for number in range(8):
        info.add_text(f"key{number}", "x" * 500_000, zip=True)
    content = encoded(halves(), pnginfo=info)
    assert len(content) < 20_000
    with pytest.raises(InvalidInputError):
        open_image(content)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    grey = np.full((6, 6), 40_000, np.uint16)
    image = Image.fromarray(grey) if mode == "I;16" else Image.new("L", (6, 6), 156).convert(mode)
    found = np.asarray(decode(encoded(image)))
    assert found.shape == (6, 6, 3)
    assert abs(int(found[3, 3, 0]) - 156) < 3 or mode == "1"


def test_what_is_transparent_is_white() -> None:
    clear = encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)))
    assert np.asarray(decode(clear)).min() == 255


def test_the_middle_is_cut_out_at_the_wanted_size() -> None:
    wide = Image.new("RGB", (100, 10), "white")
    wide.paste("black", (45, 0, 55, 10))
    found = pixels(encoded(wide), INPUTS)
    assert found.shape == (4, 4, 3)
    assert found[:, 1:3].mean() < 60


def test_a_raw_array_is_treated_as_the_file_is() -> None:
    image = halves(20, 12)
    assert np.array_equal(pixels(encoded(image), INPUTS), pixels(np.asarray(image), INPUTS))


def declared(width: int, height: int) -> bytes:
    """The header of a PNG of this size, and no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + encoded(halves())[33:]


def test_twenty_five_megapixels_are_opened_and_no_more() -> None:
    assert open_image(declared(5_000, 5_000)).size == (5_000, 5_000)
    with pytest.raises(TooLargeError, match="5000 × 5001 pixels"):
        open_image(declared(5_000, 5_001))


@pytest.mark.parametrize("size", [(10_000, 5_000), (30_000, 30_000)])
def test_fifty_megapixels_are_refused_by_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(TooLargeError, match="at most 25,000,000"):
        decode(declared(*size))


def test_a_truncated_image_is_damaged() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for kind in ("PNG", "JPEG", "WEBP"):
        content = encoded(Image.fromarray(noise), kind)
        with pytest.raises(InvalidInputError):
            decode(content[: len(content) // 2])


@pytest.mark.parametrize("content", [b"GIF89a", b"%PDF-1.4", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_no_images(content: bytes) -> None:
    with pytest.raises(InvalidInputError, match="PNG, JPEG, WEBP"):
        decode(content)


@given(st.binary(max_size=300), st.integers(0, 60))
def test_any_bytes_are_an_image_or_a_clear_error(noise: bytes, kept: int) -> None:
    for start in (b"", encoded(halves())[:kept], encoded(halves(), "JPEG")[:kept]):
        with contextlib.suppress(InvalidInputError, TooLargeError):
            assert decode(start + noise).mode == "RGB"
