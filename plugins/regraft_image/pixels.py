"""From the bytes of an image file to RGB pixels."""

import io
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from regraft import ImageInputs, InvalidInputError, TooLargeError

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 25_000_000
# Texts within a PNG, which Pillow inflates with the header: 64 MiB a file would take seconds.
PngImagePlugin.MAX_TEXT_MEMORY = 2**20
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to undo each EXIF orientation (EXIF 2.32, tag 0x0112)."""
SIDEWAYS = (5, 6, 7, 8)
"""Orientations whose sides change places."""
SIDES = (1, 65_500)
Box = tuple[float, float, float, float]
NOT_AN_IMAGE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError)
"""What Pillow raises for damaged files, by format."""


def open_image(content: bytes) -> Image.Image:
    """An image of which only the header was read; InvalidInputError if it is none, TooLargeError
    if it declares more than 25 megapixels."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise TooLargeError(_too_large("more pixels than Pillow opens")) from error
    except NOT_AN_IMAGE as error:
        raise InvalidInputError(
            f"The content is no image of the kinds {', '.join(FORMATS)}."
        ) from error
    check_size(image.width, image.height)
    return image


def check_size(width: int, height: int) -> None:
    if not SIDES[0] <= min(width, height) <= max(width, height) <= SIDES[1]:
        raise InvalidInputError(f"An image of {width} × {height} pixels cannot be used.")
    if width * height > MAX_PIXELS:
        raise TooLargeError(_too_large(f"{width} × {height} pixels"))


def _too_large(found: str) -> str:
    return f"The image has {found}; at most {MAX_PIXELS:,} are taken."


def decode(content: bytes, least: int | None = None) -> Image.Image:
    """The image upright and in RGB; what is transparent becomes white.

    If `least` is given a JPEG may come smaller, as long as its sides have so many pixels. Raises
    what `open_image` raises.
    """
    image = open_image(content)
    try:
        if least is not None and image.format == "JPEG":
            image.draft("RGB", (least, least))
        image.load()
        return _rgb(_upright(image))
    except Exception as error:  # damaged metadata makes Pillow raise almost anything
        raise InvalidInputError(f"The image is damaged: {error}.") from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height once the image is turned as a camera says; its header is enough."""
    turned = image.getexif().get(ORIENTATION, 1) in SIDEWAYS
    return (image.height, image.width) if turned else image.size


def _upright(image: Image.Image) -> Image.Image:
    """Turned as a camera says; not by Pillow, which would write all metadata anew."""
    turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits a grey pixel: Pillow would clip them at 255.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        behind = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(behind, image.convert("RGBA"))
    return image.convert("RGB")


def pixels(row: Any, inputs: ImageInputs) -> Any:
    """The row, a file's bytes or an array [H, W, 3] of uint8, as a source model takes it."""
    image = decode(row, inputs.resize) if isinstance(row, bytes) else Image.fromarray(row)
    cut, box = geometry(image.size, inputs)
    resized = image.resize(cut, Image.Resampling.BICUBIC, box)
    if cut == (inputs.width, inputs.height):
        return np.asarray(resized)
    canvas = Image.new("RGB", (inputs.width, inputs.height))
    canvas.paste(resized, ((inputs.width - cut[0]) // 2, (inputs.height - cut[1]) // 2))
    return np.asarray(canvas)


def geometry(size: tuple[int, int], inputs: ImageInputs) -> tuple[tuple[int, int], Box]:
    """Width and height of what is cut out of the middle, and the box of it in an image of `size`,
    of which no more is computed: a very long picture costs no more."""
    if inputs.squash:
        return (inputs.width, inputs.height), (0, 0, *size)
    scale = inputs.resize / min(size)
    wanted = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    cut = (min(inputs.width, wanted[0]), min(inputs.height, wanted[1]))
    left, top = ((whole - part) / 2 / scale for whole, part in zip(wanted, cut, strict=True))
    right, bottom = min(left + cut[0] / scale, size[0]), min(top + cut[1] / scale, size[1])
    return cut, (left, top, right, bottom)
