"""Masks: images whose pixels are numbers of classes."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from regraft import ImageInputs, InvalidInputError, RegraftError
from regraft_image.pixels import geometry, open_image, upright_size

VOID = 255
"""A pixel that is of no class and counts for nothing, as in PASCAL VOC (Everingham et al. 2010)."""
MODES = ("L", "P", "1")


def mask_problem(content: bytes) -> str | None:
    """Why this file is no mask, or None."""
    try:
        image = open_image(content)
        if image.format != "PNG" or image.mode not in MODES:
            return (
                "a mask must be a PNG of grey or palette pixels of 8 bits, each the number of a "
                f"class, not {image.format} of the mode {image.mode}"
            )
        if _depth(content) in (2, 4) and image.mode == "L":
            return "a mask of grey pixels must have 8 bits or 1, since others would be rescaled"
        image.load()
    except (RegraftError, OSError, SyntaxError, ValueError) as error:
        return str(error).removesuffix(".")
    return None


def misfit(picture: bytes, mask: bytes) -> str | None:
    """Why the mask cannot be that of the picture, which is seen upright, or None: it may be larger
    or smaller, but of the same form."""
    image, found = open_image(picture), open_image(mask)
    (width, height), (own_width, own_height) = upright_size(image), found.size
    if abs(width * own_height - height * own_width) <= max(width, height, own_width, own_height):
        return None
    turned = ", and like it before its EXIF turn" if found.size == image.size else ""
    return (
        f"a mask of {own_width} × {own_height} pixels is of another form than its picture of "
        f"{width} × {height}{turned}"
    )


def mask_of(label: str) -> Image.Image:
    """The mask of a label, which is its file in base64."""
    image = Image.open(io.BytesIO(base64.b64decode(label)), formats=("PNG",))
    # Of one bit the classes are 0 and 1; Pillow would make 255 of the latter, which is no class.
    return Image.fromarray(np.asarray(image, np.uint8)) if image.mode == "1" else image


def _depth(content: bytes) -> int:
    """Bits of a sample, as a PNG's header has them (RFC 2083, 4.1.1)."""
    return content[24]


def values_of(label: str) -> set[int]:
    """The numbers that occur."""
    return set(np.unique(np.asarray(mask_of(label))).tolist()) - {VOID}


def small_mask(label: str, inputs: ImageInputs, side: tuple[int, int]) -> Any:
    """[h, w] uint8: the same part of the picture that the source model sees, of this size."""
    mask = mask_of(label)
    found = Image.fromarray(np.asarray(mask))
    cut, box = geometry(found.size, inputs)
    resized = found.resize(cut, Image.Resampling.NEAREST, box)
    canvas = Image.new("L", (inputs.width, inputs.height), VOID)
    canvas.paste(resized, ((inputs.width - cut[0]) // 2, (inputs.height - cut[1]) // 2))
    return np.asarray(canvas.resize((side[1], side[0]), Image.Resampling.NEAREST))


def as_png(mask: Any) -> str:
    """A mask [H, W] as a PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def numbers(labels: Sequence[str]) -> dict[int, int]:
    """Positions of classes by the numbers that masks have for them."""
    try:
        return {int(label): position for position, label in enumerate(labels)}
    except ValueError as error:
        raise InvalidInputError(f"The classes of masks must be numbers: {error}.") from error
