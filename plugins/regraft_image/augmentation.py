"""Random variation of images in training: a part is cut out and enlarged.

They are not mirrored: an arrow, a digit or a hand would be another thing then.
"""

from typing import Any

import numpy as np
from PIL import Image

LEAST_SIDE = 0.8


def varied(images: Any, rng: np.random.Generator) -> Any:
    """Each of [B, H, W, 3] cut to .8 to 1 of its sides."""
    return np.stack([_varied(image, rng) for image in images])


def _varied(image: Any, rng: np.random.Generator) -> Any:
    height, width = image.shape[:2]
    side = rng.uniform(LEAST_SIDE, 1)
    left, top = rng.uniform(0, 1 - side, 2) * (width, height)
    box = (left, top, left + side * width, top + side * height)
    cut = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box)
    return np.asarray(cut)
