"""The contract of a plugin: source models, tasks and transfer strategies."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from regraft.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    import torch

    from regraft.model import TargetModel

Array = NDArray[Any]
Arrays = Mapping[str, Array]
FeatureForm = Literal["pooled", "sequence", "map"]
StrategyKind = Literal["feature", "parameter", "structure", "cross-domain"]
Folds = Sequence[tuple[Array, Array]]
"""Row positions to train on and to hold out, for cross-validation in the training part; rows of one
group are on one side, and every held-out class is trained on. Empty where rows are too few."""


@dataclass(frozen=True)
class TensorSpec:
    """A named tensor: its Open Inference Protocol data type and its shape.

    A string in the shape names an axis of variable length.
    """

    name: str
    datatype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Feature:
    """Where a backbone can end: `pooled` [B, D], `sequence` [B, T, D] or `map` [B, C, H, W].

    `size` is D or C.
    """

    name: str
    form: FeatureForm
    size: int


@dataclass(frozen=True)
class SourceDescriptor:
    """A row of the catalogue: what is known of a source model without opening it."""

    name: str
    modality: str
    licence: str
    origin: str
    summary: str


@dataclass(frozen=True)
class Inputs:
    """What a source model takes, as far as a task must know it to encode rows.

    Every field travels with the published version: `bytes` as a file, the rest as JSON.
    """

    tensors: tuple[TensorSpec, ...]

    def example(self, batch: int, length: int) -> dict[str, Array]:
        """Rows that mean nothing but that a model must take, nothing of them padded; other axes of
        free length have 64 places. For exports, to warm up, and for checks."""
        sizes = {"batch": batch, "length": length}
        return {
            spec.name: _made_up(spec, [sizes.get(str(axis), axis) for axis in spec.shape])
            for spec in self.tensors
        }


@dataclass(frozen=True)
class TextInputs(Inputs):
    """Token ids: `tokenizer` is a `tokenizer.json` of the tokenizers library; lengths in tokens."""

    tokenizer: bytes
    max_length: int


@dataclass(frozen=True)
class ImageInputs(Inputs):
    """RGB pixels of 0 to 255, [height, width, 3] an image: the shorter side is first brought to
    `resize` pixels, then the centre is cut out. What else a model wants is inside its graph."""

    height: int
    width: int
    resize: int


@dataclass(frozen=True)
class AudioInputs(Inputs):
    """One channel of sound: `samples` [batch, length] from -1 to 1, of which `lengths` [batch] are
    real. `rate` is in hertz; a row is filled up to `shortest` and cut at `longest` seconds."""

    rate: int
    shortest: float
    longest: float

    def example(self, batch: int, length: int) -> dict[str, Array]:
        """Noise; `length` is in tenths of a second."""
        samples = round(self.rate * min(max(length / 10, self.shortest), self.longest))
        noise = np.random.default_rng([batch, length]).uniform(-1, 1, (batch, samples))
        lengths = np.full(batch, samples, np.int64)
        return {"samples": noise.astype(np.float32), "lengths": lengths}


@dataclass(frozen=True)
class LinearHead:
    """One affine map: logits = features · weightᵀ + bias; weight [C, D], bias [C], float32."""

    weight: Array
    bias: Array


FREE_AXIS = 64
DTYPES = {"INT64": np.int64, "INT32": np.int32, "FP32": np.float32, "UINT8": np.uint8}


def _made_up(spec: TensorSpec, axes: Sequence[int | str]) -> Array:
    shape = [FREE_AXIS if isinstance(axis, str) else axis for axis in axes]
    dtype, rng = DTYPES[spec.datatype], np.random.default_rng(shape)
    if spec.name.endswith("mask"):
        return np.ones(shape, dtype)
    if spec.datatype == "FP32":
        return rng.uniform(-1, 1, shape).astype(dtype)
    if spec.datatype == "UINT8":
        return rng.integers(0, 256, shape).astype(dtype)
    return np.zeros(shape, dtype)


@dataclass(frozen=True)
class OwnHead:
    """What a source model came with for a task: from `feature` to outputs as the task serves them,
    of these labels. `module` makes it."""

    feature: Feature
    labels: tuple[str, ...]
    module: "Callable[[], torch.nn.Module]"


class SourceModel(ABC):
    """A pretrained model, opened. It gives an ONNX graph, or a torch module, or both.

    With a module alone the host exports it; with a graph alone only strategies that freeze the
    backbone apply.
    """

    name: str
    modality: str
    trainable: bool = True
    """Whether there is a torch module; without one only strategies that freeze it apply."""
    inputs: Inputs
    features: tuple[Feature, ...]
    """The places where the backbone can end, the best default of each form first."""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines the outputs: weights, configuration, tokenizer."""

    def graph(self, feature: Feature) -> bytes | None:
        """The backbone that ends at `feature` as a single-file ONNX model, if it is one already."""
        return None

    def module(self, feature: Feature) -> "torch.nn.Module | None":
        """A fresh torch module of it: the tensors of `inputs` by name in, the feature out."""
        return None

    def candidates(self, form: FeatureForm) -> tuple[Feature, ...]:
        """The features of this form among which transfer chooses where the user names none."""
        return (self.feature(form),)

    def modules(self, features: Sequence[Feature]) -> "torch.nn.Module | None":
        """A fresh torch module that gives all of these in one pass, as a tuple in this order.

        Wanted of a source with more than one candidate: their exports are parts of one graph.
        """
        return None

    def own_head(self, task: str) -> OwnHead | None:
        """The head that it came with for the task of this name, if it did."""
        return None

    def details(self) -> dict[str, Any]:
        """What `regraft sources show` adds: licence, origin, and `parameters`, their count, where
        it is known without a torch module."""
        return {}

    def feature(self, form: FeatureForm, name: str | None = None) -> Feature:
        """The feature of this name, or the default one of this form."""
        fitting = [feature for feature in self.features if feature.form == form]
        for feature in fitting:
            if name in (None, feature.name):
                return feature
        offered = ", ".join(feature.name for feature in fitting) or "none"
        wanted = f"a feature '{name}'" if name else "any feature"
        raise UnsupportedError(
            f"Source model '{self.name}' lacks {wanted} of the form '{form}'. It offers: {offered}."
        )


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
    label_suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings of the files that labels are, such as masks; a label is then a content in base64."""
    largest_file: ClassVar[int] = 20 * 2**20
    """The greatest content of a row, in bytes, where rows are files."""
    largest_batch: ClassVar[int] = 2**31
    """The greatest padded size of a batch (rows × the largest `size`), which bounds memory."""

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


@dataclass(frozen=True)
class Step:
    """One training step, as `extra_loss` sees it."""

    model: "TargetModel"
    batch: Mapping[str, "torch.Tensor"]
    features: "torch.Tensor"
    logits: "torch.Tensor"
    unlabelled: Mapping[str, "torch.Tensor"] | None = None


class NoOptions(BaseModel):
    """The options of a strategy that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate, as a multiple of the strategy's own."""

    parameters: "list[torch.nn.Parameter]"
    rate: float = 1.0


@dataclass(frozen=True)
class TrainingPlan:
    """What the training loop needs from a strategy's options; rates per step of AdamW."""

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    patience: int = 2
    max_gradient_norm: float = field(default=1.0)


class TransferStrategy(ABC):
    """How knowledge goes from the source model to the target. One instance a job.

    A strategy that freezes the backbone implements `fit`; any other is trained by the host's loop
    and changes it through the remaining methods, each of which has a default.
    """

    name: ClassVar[str]
    kind: ClassVar[StrategyKind]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    freezes_backbone: ClassVar[bool] = False
    uses_own_head: ClassVar[bool] = False
    """Whether nothing is learnt: the source model answers with the head that it came with."""
    warm_start: ClassVar[bool] = False
    """Whether training starts from the head that `fit` gives for the frozen features."""
    Options: ClassVar[type[BaseModel]] = NoOptions

    def __init__(self, options: Any, seed: int) -> None:
        self.options = options
        self.seed = seed

    def feature(self) -> str | None:
        """The name of the feature to use; None is the source model's default."""
        return None

    def fit(self, features: Array, targets: Array, folds: Folds) -> LinearHead:
        """The head for frozen features [N, D] and class indices [N]; `folds` are there to choose
        what there is to choose."""
        raise UnsupportedError(
            f"Strategy '{self.name}' has no closed form: it trains the backbone."
        )

    def cross_validate(self, features: Array, targets: Array, folds: Folds) -> float:
        """The mean out-of-fold log loss in nats; the candidate feature with the least is used.

        Without an answer of its own a strategy that trains the backbone takes the first candidate.
        """
        if not self.freezes_backbone:
            return 0.0
        losses = [_held_out_loss(self, features, targets, fold) for fold in folds]
        return float(np.concatenate(losses).mean())

    def plan(self) -> TrainingPlan:
        """Epochs, batch size and rates of the training loop."""
        return TrainingPlan()

    def prepare(self, model: "TargetModel") -> "TargetModel":
        """The model to train: this one, changed, or another."""
        return model

    def parameter_groups(self, model: "TargetModel") -> list[ParameterGroup]:
        """Which parameters learn, and how fast."""
        return [ParameterGroup([p for p in model.parameters() if p.requires_grad])]

    def start_epoch(self, epoch: int, model: "TargetModel") -> None:  # noqa: B027 - a no-op hook
        """Called before each epoch, which counts from 0, once the model is in training mode."""

    def extra_loss(self, step: Step) -> "torch.Tensor | None":
        """A term to add to the task's loss."""
        return None

    def finish(self, model: "TargetModel") -> "TargetModel":
        """The model to export, from the trained one."""
        return model


def _held_out_loss(
    strategy: TransferStrategy, features: Array, targets: Array, fold: tuple[Array, Array]
) -> Array:
    """The log loss of each held-out row under the head that is fitted on the others."""
    known, held_out = fold
    classes, renumbered = np.unique(targets[known], return_inverse=True)
    head = strategy.fit(features[known], renumbered, ())
    logits = features[held_out] @ head.weight.T + head.bias
    top = logits.max(1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(1))
    right = np.searchsorted(classes, targets[held_out])
    loss: Array = total - logits[np.arange(len(held_out)), right]
    return loss
