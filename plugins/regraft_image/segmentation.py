"""Image segmentation: a class for each pixel."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft import Columns, Feature, TensorSpec
from regraft_image.masks import VOID, as_png, mask_problem, misfit, numbers, small_mask, values_of
from regraft_image.rows import ImageRows

if TYPE_CHECKING:
    import torch
    from torch import nn

COARSER = 4
"""Classes are told for squares of so many pixels."""


class ImageSegmentation(ImageRows):
    """A mask for an image, from a map of an image encoder and a light decoder.

    Labels are mask files: PNG whose pixels are numbers of classes, 255 for none. Outputs are
    probabilities [B, C, H / 4, W / 4].
    """

    name = "image-segmentation"
    summary = "One of 2 to 255 classes for each pixel of an image"
    form = "map"
    primary = "miou"
    columns = Columns(
        input=("image", "path", "file", "file_name", "filename"),
        label=("mask", "segmentation", "label", "annotation"),
    )
    classes = False
    label_suffixes = (".png",)

    @classmethod
    def check_label(cls, content: bytes) -> str | None:
        return mask_problem(content)

    @classmethod
    def check_pair(cls, value: Any, content: bytes) -> str | None:
        return misfit(value, content)

    @classmethod
    def labels_of(cls, labels: Iterable[str]) -> tuple[str, ...]:
        found = set().union(*map(values_of, labels))
        return tuple(map(str, sorted(found)))

    @property
    def side(self) -> tuple[int, int]:
        return self.inputs.height // COARSER, self.inputs.width // COARSER

    def targets(self, labels: Sequence[str]) -> Any:
        """Positions of classes [N, H / 4, W / 4] as uint8, 255 for no class."""
        table = np.full(256, VOID, np.uint8)
        for number, position in numbers(self.labels).items():
            table[number] = position
        return np.stack([table[small_mask(label, self.inputs, self.side)] for label in labels])

    def head(self, feature: Feature) -> "nn.Module":
        from regraft_image.decoder import Decoder

        return Decoder(feature.size, len(self.labels), self.side)

    def loss(self, outputs: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, targets.long(), ignore_index=VOID)

    def activate(self, outputs: "torch.Tensor") -> "torch.Tensor":
        return outputs.softmax(1)

    def serving_head(self, head: "nn.Module") -> "nn.Module":
        from torch import nn

        return nn.Sequential(head, nn.Softmax(dim=1))

    def metrics(self, outputs: Any, targets: Any) -> dict[str, Any]:
        """The mean over images of the mean intersection over union of the classes that an image
        has; the same by classes over all images; the share of pixels that are right; and the mean
        negative log likelihood in nats a pixel."""
        confusion = self._confusions(outputs, targets).sum(0)
        by_class = overlap(confusion)
        known = targets != VOID
        chosen = np.take_along_axis(outputs, np.where(known, targets, 0)[:, None].astype(int), 1)
        return {
            "miou": float(np.mean(self.scores(outputs, targets))),
            "class_miou": float(np.nanmean(by_class)),
            "pixel_accuracy": float(np.trace(confusion) / max(confusion.sum(), 1)),
            "loss": float(-np.log(np.clip(chosen[:, 0][known], 1e-12, 1)).mean()),
            "iou": dict(zip(self.labels, np.nan_to_num(by_class).tolist(), strict=True)),
        }

    def scores(self, outputs: Any, targets: Any) -> Any:
        """The mean intersection over union of each image (Csurka et al. 2013)."""
        found = []
        for confusion in self._confusions(outputs, targets):
            present = confusion.sum(1) > 0
            found.append(overlap(confusion)[present].mean() if present.any() else 1.0)
        return np.array(found)

    def _confusions(self, outputs: Any, targets: Any) -> Any:
        """Counts [N, true class, predicted class]."""
        classes, predicted = len(self.labels), outputs.argmax(1)
        pairs = targets.astype(int) * classes + predicted
        found = [
            np.bincount(row[target != VOID], minlength=classes**2)
            for row, target in zip(pairs, targets, strict=True)
        ]
        return np.stack(found).reshape(-1, classes, classes)

    def majority(self, targets: Any, rows: int) -> Any:
        """Class frequencies with one pixel of each class added, the same for every pixel."""
        counts = np.bincount(targets[targets != VOID], minlength=len(self.labels)) + 1.0
        share = (counts / counts.sum()).astype(np.float32)
        return np.broadcast_to(share[None, :, None, None], (rows, len(share), *self.side))

    def simple_baseline(self, seed: int) -> Any:
        """Logistic regression on the colour and the place of each pixel."""
        from regraft_image.baseline import PixelColours

        return PixelColours(self.inputs, self.side, len(self.labels), seed)

    def response_tensors(self) -> tuple[TensorSpec, ...]:
        sides = (self.side[0] * COARSER, self.side[1] * COARSER)
        return (
            TensorSpec("mask", "UINT8", ("batch", *sides)),
            TensorSpec("score", "FP32", ("batch",)),
        )

    def decode(self, outputs: Any) -> dict[str, Any]:
        """The numbers of classes as the masks had them, for the part of the picture that the source
        model sees, and the mean probability of what is told."""
        table = np.array([int(label) for label in self.labels], np.uint8)
        coarse = table[outputs.argmax(1)]
        return {
            "mask": coarse.repeat(COARSER, 1).repeat(COARSER, 2),
            "score": outputs.max(1).mean((1, 2)).astype(np.float32),
        }

    def answers(self, tensors: Any) -> list[dict[str, Any]]:
        """The mask as a PNG in base64, and the share of each class."""
        return [
            {"mask": as_png(mask), "score": float(score), "shares": self._shares(mask)}
            for mask, score in zip(tensors["mask"], tensors["score"], strict=True)
        ]

    def _shares(self, mask: Any) -> dict[str, float]:
        return {label: float((mask == int(label)).mean()) for label in self.labels}


def overlap(confusion: Any) -> Any:
    """Intersection over union of each class; NaN for one that neither occurs nor is told."""
    hits = np.diag(confusion).astype(float)
    union = confusion.sum(0) + confusion.sum(1) - hits
    return np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)
