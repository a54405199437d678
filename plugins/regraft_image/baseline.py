"""What can be had without a pretrained model: logistic regression on pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from regraft import ImageInputs
from regraft_image.masks import VOID
from regraft_image.pixels import decode, pixels

SIDE = 32
STRENGTH = 0.01
MOST_PIXELS = 50_000


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


class PixelColours(BaseEstimator):  # type: ignore[misc]
    """The class of each pixel from its colour, its square, and its place."""

    def __init__(self, inputs: ImageInputs, side: tuple[int, int], classes: int, seed: int) -> None:
        self.inputs = inputs
        self.side = side
        self.classes = classes
        self.seed = seed

    def fit(self, files: Sequence[bytes], targets: Any) -> "PixelColours":
        features = np.concatenate([self._features(content) for content in files])
        flat = targets.reshape(-1)
        known = np.flatnonzero(flat != VOID)
        rng = np.random.default_rng(self.seed)
        chosen = rng.permutation(known)[:MOST_PIXELS]
        model: Any = LogisticRegression(max_iter=200)
        if len(np.unique(flat[chosen])) < 2:  # of one class there is nothing to tell apart
            model = DummyClassifier()
        self.model_ = model.fit(features[chosen], flat[chosen])
        return self

    def predict_proba(self, files: Sequence[bytes]) -> Any:
        outputs = np.zeros((len(files), self.classes, *self.side), np.float32)
        for row, content in enumerate(files):
            found = self.model_.predict_proba(self._features(content))
            outputs[row, self.model_.classes_] = found.T.reshape(-1, *self.side)
        return outputs

    def _features(self, content: bytes) -> Any:
        """[h · w, 8]: colours from 0 to 1 and their squares, then down and right from 0 to 1."""
        image = Image.fromarray(pixels(content, self.inputs))
        small = image.resize((self.side[1], self.side[0]), Image.Resampling.BOX)
        colours = np.asarray(small, np.float32).reshape(-1, 3) / 255
        places = np.stack(np.meshgrid(*(np.linspace(0, 1, n) for n in self.side), indexing="ij"))
        return np.concatenate([colours, colours**2, places.reshape(2, -1).T], 1)
