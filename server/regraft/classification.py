"""What every classification task shares: one softmax head, its metrics and its answers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft.contract import Array, Arrays, Feature, LinearHead, Task, TensorSpec

if TYPE_CHECKING:
    import torch


class Classification(Task):
    """One of C labels a row; the served outputs are probabilities [B, C]."""

    form = "pooled"
    primary = "accuracy"
    calibrates = True

    def targets(self, labels: Sequence[str]) -> Array:
        index = {label: position for position, label in enumerate(self.labels)}
        return np.array([index[label] for label in labels], dtype=np.int64)

    def head(self, feature: Feature) -> "torch.nn.Module":
        from torch import nn

        return nn.Linear(feature.size, len(self.labels))

    def loss(self, outputs: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, targets)

    def activate(self, outputs: "torch.Tensor") -> "torch.Tensor":
        return outputs.softmax(-1)

    def serving_head(self, head: "torch.nn.Module") -> "LinearHead | torch.nn.Module":
        from torch import nn

        if not isinstance(head, nn.Linear):
            return nn.Sequential(head, nn.Softmax(dim=-1))
        weight = head.weight.detach().cpu().numpy().astype(np.float32)
        bias = np.zeros(len(weight), np.float32)
        if head.bias is not None:
            bias = head.bias.detach().cpu().numpy().astype(np.float32)
        return LinearHead(weight, bias)

    def metrics(self, outputs: Array, targets: Array) -> dict[str, Any]:
        """Accuracy, macro F1, mean negative log likelihood in nats, and the detail behind them."""
        confusion = confusion_matrix(targets, outputs.argmax(1), len(self.labels))
        per_class = class_scores(confusion, self.labels)
        likelihood = np.clip(outputs[np.arange(len(targets)), targets], 1e-12, 1)
        return {
            "accuracy": float(np.trace(confusion) / max(len(targets), 1)),
            "macro_f1": _macro_f1(per_class, confusion),
            "loss": float(-np.log(likelihood).mean()),
            "per_class": per_class,
            "confusion": confusion.tolist(),
        }

    def scores(self, outputs: Array, targets: Array) -> Array:
        hits: Array = (outputs.argmax(1) == targets).astype(np.float64)
        return hits

    def majority(self, targets: Array, rows: int) -> Array:
        """Class frequencies with one row of each class added, so that no likelihood is zero."""
        counts = np.bincount(targets, minlength=len(self.labels)) + 1.0
        return np.tile(counts / counts.sum(), (rows, 1))

    def response_tensors(self) -> tuple[TensorSpec, ...]:
        return (
            TensorSpec("label", "BYTES", ("batch",)),
            TensorSpec("score", "FP32", ("batch",)),
            TensorSpec("probabilities", "FP32", ("batch", len(self.labels))),
        )

    def decode(self, outputs: Array) -> dict[str, Array]:
        best = outputs.argmax(1)
        names = np.array([label.encode() for label in self.labels], dtype=object)
        return {
            "label": names[best],
            "score": outputs[np.arange(len(best)), best].astype(np.float32),
            "probabilities": outputs.astype(np.float32),
        }

    def answers(self, tensors: Arrays) -> list[dict[str, Any]]:
        return [
            {
                "label": label.decode(),
                "score": float(score),
                "probabilities": dict(zip(self.labels, map(float, row), strict=True)),
            }
            for label, score, row in zip(
                tensors["label"], tensors["score"], tensors["probabilities"], strict=True
            )
        ]


def confusion_matrix(targets: Array, predicted: Array, classes: int) -> Array:
    """Counts [true class, predicted class]."""
    flat = np.bincount(targets * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes)


def _macro_f1(per_class: Sequence[Mapping[str, Any]], confusion: Array) -> float:
    """The mean over the classes that occur or are predicted, as scikit-learn's."""
    seen = confusion.sum(0) + confusion.sum(1) > 0
    scores = [row["f1"] for row, known in zip(per_class, seen, strict=True) if known]
    return float(np.mean(scores or [0.0]))


def class_scores(confusion: Array, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and support of each class; 0 where a ratio is undefined."""
    hits = np.diag(confusion).astype(float)
    predicted, actual = confusion.sum(0), confusion.sum(1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(actual, 1)
    f1 = 2 * hits / np.maximum(predicted + actual, 1)
    return [
        {
            "label": label,
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(actual[i]),
        }
        for i, label in enumerate(labels)
    ]
