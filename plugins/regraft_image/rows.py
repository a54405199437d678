"""What every task of images shares: how files and raw pixels become model input."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from regraft import FileRows, ImageInputs, TensorSpec
from regraft_image.pixels import check_size, decode, open_image, pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class Picture(bytes):
    """The content of an image whose header was read, and the pixels that it declares: to read one
    may take a tenth of a second, which a thread of its own has and the event loop has not."""

    pixels: int


class ImageRows(FileRows):
    """Rows are the contents of image files, or arrays [H, W, 3] of uint8."""

    modality = "image"
    inputs_type = ImageInputs
    suffixes = SUFFIXES
    largest_batch = 50_000_000
    pads = False
    file = "image"
    raw = TensorSpec("pixels", "UINT8", ("batch", "height", "width", 3))
    inputs: ImageInputs

    @classmethod
    def read_file(cls, content: bytes) -> Any:
        return decode(content)

    @classmethod
    def looked_at(cls, content: bytes) -> bytes:
        picture, image = Picture(content), open_image(content)
        picture.pixels = image.width * image.height
        return picture

    def raw_rows(self, values: Any) -> list[Any]:
        _, height, width, _ = values.shape
        check_size(width, height)
        return list(values)

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        (tensor,) = self.inputs.tensors
        return {tensor.name: np.stack([pixels(row, self.inputs) for row in rows])}

    def size(self, row: Any) -> int:
        """Pixels to decode: the model sees as many of every image."""
        if isinstance(row, Picture):
            return row.pixels
        if isinstance(row, bytes):
            image = open_image(row)
            return image.width * image.height
        return int(row.shape[0] * row.shape[1])
