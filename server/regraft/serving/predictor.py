"""Prediction without Ray or HTTP: rows in, response tensors out."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np
import onnx

from regraft.contract import Array, Arrays, Task, TensorSpec
from regraft.domain import Blob
from regraft.plugins import Plugins
from regraft.registry.blobs import BlobStore
from regraft.registry.endpoint_table import Route
from regraft.registry.manifest import Manifest
from regraft.serving.instructions import instructions
from regraft.serving.profile import InputWatch, Profile
from regraft.serving.sessions import Runtime, open_session


class Backbone:
    """One session for one blob, whoever uses it. `features` may be called from several threads. It
    can be put away while it has no users: its memory is free then, until it is loaded again."""

    def __init__(self, path: Path, runtime: Runtime) -> None:
        self.path = path
        self.runtime = runtime
        self.sample: Array | None = None
        self.size = path.stat().st_size
        self.users = 0
        self.used = time.monotonic()
        self.session: Any = None
        self.names = [tensor.name for tensor in self.load().get_inputs()]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def loaded(self) -> bool:
        return self.session is not None

    def load(self) -> Any:
        self.session = session = open_session(self.path, self.runtime)
        return session

    def unload(self) -> None:
        self.session = None

    def features(self, batch: Arrays) -> Array:
        """The feature of an encoded batch."""
        (found,) = self.outputs(batch)
        return found

    def outputs(self, batch: Arrays) -> list[Array]:
        """All that the graph says of an encoded batch."""
        session = self.session or self.load()
        found = session.run(None, {name: batch[name] for name in self.names})
        return [np.asarray(array) for array in found]


class Head(Protocol):
    """A feature in, outputs out."""

    def __call__(self, features: Array) -> Array: ...


@dataclass(frozen=True)
class SoftmaxHead:
    """An affine map and a softmax: a matrix product of numpy, no session."""

    weight: Array
    bias: Array

    def __call__(self, features: Array) -> Array:
        logits = features @ self.weight.T + self.bias
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return np.asarray(powers / powers.sum(-1, keepdims=True))


class GraphHead:
    """Any other head: a session of its own."""

    def __init__(self, path: Path) -> None:
        self.session = open_session(path, Runtime())
        self.input = self.session.get_inputs()[0].name

    def __call__(self, features: Array) -> Array:
        (outputs,) = self.session.run(None, {self.input: features})
        return np.asarray(outputs)


def open_head(path: Path) -> Head:
    """The head in this file, in its cheapest form."""
    graph = onnx.load(str(path)).graph
    if [node.op_type for node in graph.node] != ["Gemm", "Softmax"]:
        return GraphHead(path)
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return SoftmaxHead(arrays["weight"], arrays["bias"])


@dataclass(frozen=True, eq=False)
class Predictor:
    """A version, ready to answer, and equal to itself alone. The encoder is its task, or one of
    another version whose rows are encoded alike: a tokenizer takes ten megabytes."""

    name: str
    version: int
    group: str
    """Rows of predictors of one group can share a forward of the backbone."""
    task: Task
    encoder: Task
    backbone: Backbone
    head: Head
    watch: InputWatch | None = None

    @cached_property
    def alternatives(self) -> tuple[tuple[TensorSpec, ...], ...]:
        """The tensors that a request may carry."""
        return self.task.request_alternatives()

    @cached_property
    def text(self) -> str | None:
        """The one tensor it answers with that has a text a row, if there is one."""
        specs = self.task.response_tensors()
        texts = [spec.name for spec in specs if spec.datatype == "BYTES" and len(spec.shape) == 1]
        return texts[0] if texts else None

    def outputs(self, rows: Sequence[Any]) -> Array:
        """Outputs [B, …] of the served graphs for these rows, as one batch."""
        return self.head(self.backbone.features(self.encoder.encode(rows)))

    def predict(self, rows: Sequence[Any]) -> dict[str, Array]:
        """Response tensors for these rows, as one batch."""
        return self.task.decode(self.outputs(rows))

    def warm_up(self) -> None:
        """Run once on rows that were kept, or on made-up input, so that the first request does not
        pay for it; the backbone once for all that share it."""
        if self.backbone.sample is None:
            rows = self.watch.profile.rows if self.watch else {}
            example = rows or self.encoder.inputs.example(1, 8)
            self.backbone.sample = self.backbone.features(example)
        self.task.decode(self.head(self.backbone.sample))


def open_task(manifest: Manifest, blobs: BlobStore, plugins: Plugins) -> Task:
    """The version's task with its inputs restored."""
    kind = plugins.task(manifest.task.name)
    return kind(manifest.inputs.restore(kind.inputs_type, blobs), manifest.labels)


def served_backbone(manifest: Manifest, gpu: bool) -> Blob:
    """The variant, where this process runs as it was measured; else the backbone as it is."""
    variant = manifest.variant
    if variant is None or gpu != (variant.precision == "fp16"):
        return manifest.backbone
    able = gpu or set(variant.instructions) <= set(instructions())
    return variant.backbone if able else manifest.backbone


@dataclass(frozen=True)
class Opener:
    """Opens versions; those with one backbone blob share one session while any of them lives, and
    those whose rows are encoded alike one encoder."""

    blobs: BlobStore
    plugins: Plugins
    runtime: Runtime
    backbones: "WeakValueDictionary[str, Backbone]" = field(default_factory=WeakValueDictionary)
    encoders: "WeakValueDictionary[str, Task]" = field(default_factory=WeakValueDictionary)

    def open(self, route: Route) -> Predictor:
        """A predictor for this version; every blob is verified first."""
        manifest = Manifest.load(route.manifest, self.blobs)
        head = open_head(self.blobs.verified(manifest.head.sha256))
        key = f"{manifest.task.name} {manifest.inputs.key}"
        encoder = self._encoder(key, manifest)
        task = encoder
        if encoder.labels != manifest.labels:
            task = type(encoder)(encoder.inputs, manifest.labels)
        backbone = self._backbone(served_backbone(manifest, self.runtime.gpu).sha256)
        group = sys.intern(f"{backbone.name} {key}")
        watch = None
        if manifest.profile is not None:
            watch = InputWatch(Profile.load(self.blobs.read(manifest.profile.sha256)))
        return Predictor(route.name, route.version, group, task, encoder, backbone, head, watch)

    def _encoder(self, key: str, manifest: Manifest) -> Task:
        known = self.encoders.get(key)
        if known is None:
            known = open_task(manifest, self.blobs, self.plugins)
            self.encoders[key] = known
        return known

    def _backbone(self, sha256: str) -> Backbone:
        known = self.backbones.get(sha256)
        if known is None:
            known = Backbone(self.blobs.verified(sha256), self.runtime)
            self.backbones[sha256] = known
        return known
