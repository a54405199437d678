"""What every task of images shares: how files and raw pixels become model input."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from regraft import ImageInputs, RegraftError, Task, TensorSpec, TooLargeError
from regraft_image.pixels import check_size, decode, open_image, pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class ImageRows(Task):
    """Rows are the contents of image files, or arrays [H, W, 3] of uint8."""

    modality = "image"
    inputs_type = ImageInputs
    suffixes = SUFFIXES
    largest_batch = 50_000_000
    inputs: ImageInputs

    @classmethod
    def check(cls, value: Any) -> str | None:
        try:
            decode(value)
        except RegraftError as error:
            return str(error).removesuffix(".")
        return None

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        (tensor,) = self.inputs.tensors
        return {tensor.name: np.stack([pixels(row, self.inputs) for row in rows])}

    def size(self, row: Any) -> int:
        """Pixels to decode: the model sees as many of every image."""
        if isinstance(row, bytes):
            image = open_image(row)
            return image.width * image.height
        return int(row.shape[0] * row.shape[1])

    def request_tensors(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("image", "BYTES", ("batch",)),)

    def request_alternatives(self) -> tuple[tuple[TensorSpec, ...], ...]:
        raw = TensorSpec("pixels", "UINT8", ("batch", "height", "width", 3))
        return (self.request_tensors(), (raw,))

    def rows(self, tensors: Any) -> list[Any]:
        if "pixels" in tensors:
            _, height, width, _ = tensors["pixels"].shape
            check_size(width, height)
            return list(tensors["pixels"])
        files = list(tensors["image"].reshape(-1))
        for content in files:
            self._check_file(content)
        return files

    def _check_file(self, content: bytes) -> None:
        if len(content) > self.largest_file:
            raise TooLargeError(
                f"The image has {len(content):,} bytes; at most {self.largest_file:,} are taken."
            )
        open_image(content)
