"""The contract of a task: from rows to model input, and from outputs to answers."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from regraft.contract.inputs import Array, Arrays, Inputs, TensorSpec
from regraft.contract.source import Feature, FeatureForm, LinearHead
from regraft.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Columns:
    """Names under which a task looks for its columns, most likely first."""

    input: tuple[str, ...]
    label: tuple[str, ...] = ("label", "class", "category", "target", "y")


class Task(ABC):
    """What the model is for: how a row becomes model input, and how output becomes an answer.

    The module of a task imports neither torch nor transformers at import time, since serving loads
    it; `head`, `loss` and `serving_head` import torch inside. `encode` is the same code for
    training and serving.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    summary: ClassVar[str]
    inputs_type: ClassVar[type[Inputs]]
    form: ClassVar[FeatureForm]
    primary: ClassVar[str]
    """The metric that decides; greater is better."""
    columns: ClassVar[Columns]
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings, in lower case, of the files whose contents are the rows, as bytes. None: texts."""
    records: ClassVar[bool] = False
    """Whether a row is all columns but label and group: cells as texts by the columns' names."""
    classes: ClassVar[bool] = True
    """Whether labels are classes. Else each row has a label of its own, such as a transcript."""
    calibrates: ClassVar[bool] = False
    """Whether outputs are probabilities [B, C] of classes, which a temperature may correct."""
    label_suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings of the files that labels are, such as masks; a label is then a content in base64."""
    largest_file: ClassVar[int] = 20 * 2**20
    """The greatest content of a row, in bytes, where rows are files."""
    longest_text: ClassVar[int] = 100_000
    """The longest text of a row, in characters, where rows are texts or columns of them."""
    pads: ClassVar[bool] = True
    """Whether `encode` brings all rows of a batch to the size of its largest."""
    largest_batch: ClassVar[int] = 2**31
    """The greatest size of a batch, which bounds memory: rows × the largest `size`, or the sum of
    sizes where nothing is padded."""

    def __init__(self, inputs: Inputs, labels: Sequence[str]) -> None:
        self.inputs = inputs
        self.labels = tuple(labels)

    @classmethod
    def check(cls, value: Any) -> str | None:
        """Why this input cannot be used, or None."""
        return None

    @classmethod
    def check_label(cls, content: bytes) -> str | None:
        """Why this file cannot be a label, or None; for labels that are files."""
        return None

    @classmethod
    def check_pair(cls, value: Any, content: bytes) -> str | None:
        """Why this file cannot be the label of this input, or None; both are usable each."""
        return None

    @classmethod
    def completed(cls, inputs: Inputs, rows: Sequence[Any]) -> Inputs:
        """The source model's inputs with what only the training rows tell, such as columns."""
        return inputs

    @classmethod
    def labels_of(cls, labels: Iterable[str]) -> tuple[str, ...]:
        """The label set in the order of the outputs."""
        return tuple(sorted(set(labels)))

    # data → model

    @abstractmethod
    def targets(self, labels: Sequence[str]) -> Array:
        """Labels as the loss wants them, one item a row."""

    @abstractmethod
    def encode(self, rows: Sequence[Any]) -> dict[str, Array]:
        """Rows as one padded batch, a tensor for each of `inputs.tensors`."""

    def augment(self, batch: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """An encoded batch with its rows varied at random, for training only."""
        return batch

    def size(self, row: Any) -> int:
        """A cheap estimate of a row's cost; rows of like size are batched together."""
        return 1

    # training

    @abstractmethod
    def head(self, feature: Feature) -> "torch.nn.Module":
        """A fresh head: a feature in, outputs (logits) out."""

    @abstractmethod
    def loss(self, outputs: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        """The mean loss of a batch."""

    def activate(self, outputs: "torch.Tensor") -> "torch.Tensor":
        """Outputs of the head as they are served, such as probabilities from logits."""
        return outputs

    @abstractmethod
    def serving_head(self, head: "torch.nn.Module") -> "LinearHead | torch.nn.Module":
        """The head as it is served: its output is what `metrics` and `decode` take."""

    # judging; `outputs` are those of the served graph

    @abstractmethod
    def metrics(self, outputs: Array, targets: Array) -> dict[str, Any]:
        """P_T and L_T: at least `primary` and `loss`, ready for JSON."""

    @abstractmethod
    def scores(self, outputs: Array, targets: Array) -> Array:
        """Each row's share of the primary metric [B], for paired intervals."""

    @abstractmethod
    def majority(self, targets: Array, rows: int) -> Array:
        """The outputs of a model that learnt nothing but the training targets."""

    @abstractmethod
    def simple_baseline(self, seed: int) -> Any:
        """An unfitted scikit-learn estimator from rows to outputs by `predict_proba`."""

    # serving

    @abstractmethod
    def request_tensors(self) -> tuple[TensorSpec, ...]:
        """What a prediction request carries."""

    def request_alternatives(self) -> tuple[tuple[TensorSpec, ...], ...]:
        """All that a request may carry instead; the first is what metadata tells."""
        return (self.request_tensors(),)

    @abstractmethod
    def response_tensors(self) -> tuple[TensorSpec, ...]:
        """What a prediction answers."""

    @abstractmethod
    def rows(self, tensors: Arrays) -> list[Any]:
        """Request tensors as rows; raises InvalidInputError with what is wrong."""

    def read_inputs(self, inputs: Sequence[Any]) -> list[Any]:
        """The `inputs` of a plain JSON request as rows: texts, or files in base64 as
        `base64 -w0 FILE` prints them; a task of anything else knows better."""
        (tensor,) = self.request_tensors()
        if tensor.datatype != "BYTES":
            raise UnsupportedError(f"'{self.name}' answers on /infer alone.")
        items = np.empty(len(inputs), object)
        items[:] = [_decoded(value) if self.suffixes else _encoded(value) for value in inputs]
        return self.rows({tensor.name: items})

    @abstractmethod
    def decode(self, outputs: Array) -> dict[str, Array]:
        """Outputs of the served graph as response tensors."""

    @abstractmethod
    def answers(self, tensors: Arrays) -> list[dict[str, Any]]:
        """Response tensors as one readable record a row."""


def _encoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise InvalidInputError("'inputs' must be a list of strings.")
    return text.encode()


def _decoded(file: Any) -> bytes:
    try:
        return base64.b64decode(file, validate=True)
    except (TypeError, ValueError) as error:
        raise InvalidInputError("'inputs' must be a list of files in base64.") from error
