"""Image classification: one label for each image."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from regraft import (
    Classification,
    Columns,
    ImageInputs,
    RegraftError,
    TensorSpec,
    TooLargeError,
)
from regraft_image.augmentation import varied
from regraft_image.pixels import check_size, decode, open_image, pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class ImageClassification(Classification):
    """A label for an image, from a pooled feature of an image encoder."""

    name = "image-classification"
    modality = "image"
    summary = "One of 2 to 1,000 labels for each image"
    inputs_type = ImageInputs
    columns = Columns(
        input=("image", "path", "file", "file_name", "filename"),
        label=("label", "class", "category", "target", "y"),
    )
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

    def augment(self, batch: Any, rng: np.random.Generator) -> dict[str, Any]:
        return {name: varied(images, rng) for name, images in batch.items()}

    def simple_baseline(self, seed: int) -> Any:
        """Pixels of 32 × 32, then logistic regression."""
        from regraft_image.baseline import pixel_logistic_regression

        return pixel_logistic_regression(seed)

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
