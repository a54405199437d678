"""What can be had without a pretrained model: logistic regression on small pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from regraft_image.pixels import decode

SIDE = 32
STRENGTH = 0.01


class SmallPixels(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Files as [N, 32·32·3] from 0 to 1, squeezed to a square."""

    def fit(self, files: Sequence[bytes], targets: Any = None) -> "SmallPixels":
        return self

    def transform(self, files: Sequence[bytes]) -> Any:
        small = [
            decode(content, SIDE).resize((SIDE, SIDE), Image.Resampling.BOX) for content in files
        ]
        return np.stack([np.asarray(image, np.float32).ravel() for image in small]) / 255


def pixel_logistic_regression(seed: int) -> Any:
    model = LogisticRegression(C=STRENGTH, max_iter=1000, random_state=seed)
    return make_pipeline(SmallPixels(), model)
