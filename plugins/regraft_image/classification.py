"""Image classification: one label for each image."""

from typing import Any

import numpy as np

from regraft import Classification, Columns
from regraft_image.augmentation import varied
from regraft_image.rows import ImageRows


class ImageClassification(ImageRows, Classification):
    """A label for an image, from a pooled feature of an image encoder."""

    name = "image-classification"
    summary = "One of 2 to 1,000 labels for each image"
    columns = Columns(
        input=("image", "path", "file", "file_name", "filename"),
        label=("label", "class", "category", "target", "y"),
    )

    def augment(self, batch: Any, rng: np.random.Generator) -> dict[str, Any]:
        return {name: varied(images, rng) for name, images in batch.items()}

    def simple_baseline(self, seed: int) -> Any:
        """Pixels of 32 × 32, then logistic regression."""
        from regraft_image.baseline import pixel_logistic_regression

        return pixel_logistic_regression(seed)
