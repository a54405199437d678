"""A candidate: graphs to publish, the torch model behind them, and the outputs of all parts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft.adaptations.context import Context
from regraft.adaptations.request import Request
from regraft.contract import Array, LinearHead, Task
from regraft.domain import Blob, DataSet, Examples
from regraft.export.frozen import frozen_backbone
from regraft.export.graph import export_backbone, export_head
from regraft.export.head import linear_head_graph
from regraft.export.parity import Outputs, Parity, check_parity, parity_rows, torch_outputs
from regraft.features import FeatureCache, compute_features, features_key
from regraft.registry.manifest import InputsRecord
from regraft.serving.predictor import Backbone, open_head
from regraft.serving.sessions import Runtime, available_cpus
from regraft.training.build import Recipe

if TYPE_CHECKING:
    from torch import nn


REPORT_SECONDS = 0.3
PARITY_CANDIDATES = 256


@dataclass(frozen=True)
class Candidate:
    """A model that could be published; `outputs` are those of the test part, as it is served."""

    backbone: Blob
    head: Blob
    outputs: Array
    parity: Parity | None


@dataclass(frozen=True)
class Work:
    """A request with its data, in progress."""

    request: Request
    data: DataSet
    task: Task
    context: Context

    @property
    def threads(self) -> int:
        return self.context.settings.threads or available_cpus()


def adapt_frozen(work: Work) -> Candidate:
    """Feature transfer: the source's own graph, and a head fitted on what that very graph says."""
    request, context = work.request, work.context
    with context.stage("source_export"):
        exported = frozen_backbone(request.source, request.feature, context.registry.home)
    backbone = Backbone(context.registry.blobs.path(exported.blob.sha256), Runtime())
    with context.stage("features"):
        train, test = (
            _features(work, backbone, exported.blob, part)
            for part in (work.data.train, work.data.test)
        )
    with context.stage("train"):
        head = request.strategy.fit(train, work.task.targets(work.data.train.labels))
    with context.stage("export"):
        blob = context.registry.blobs.put(linear_head_graph(head))
    outputs = open_head(context.registry.blobs.path(blob.sha256))(test)
    module = request.source.module(request.feature)
    parity = None if module is None else _parity(work, backbone, blob, (module, head))
    return Candidate(exported.blob, blob, outputs, parity)


def adapt_trained(work: Work) -> Candidate:
    """Every other transfer: Ray Train changes the backbone, which is then exported anew."""
    from regraft.adaptations.ray_training import train

    context, blobs = work.context, work.context.registry.blobs
    with context.stage("train"):
        model = train(work, _recipe(work))
    with context.stage("export"):
        graph = export_backbone(model.backbone, work.task.inputs.tensors, work.request.feature)
        backbone_blob = blobs.put(graph)
        head = work.task.serving_head(model.head)
        head_blob = blobs.put(_head_graph(head, work))
    backbone = Backbone(blobs.path(backbone_blob.sha256), Runtime())
    with context.stage("features"):
        features = compute_features(
            backbone, work.task, work.data.test.inputs, threads=work.threads
        )
        outputs = open_head(blobs.path(head_blob.sha256))(features)
    parity = _parity(work, backbone, head_blob, (model.backbone, head))
    return Candidate(backbone_blob, head_blob, outputs, parity)


def _head_graph(head: "LinearHead | nn.Module", work: Work) -> bytes:
    if isinstance(head, LinearHead):
        return linear_head_graph(head)
    return export_head(head, work.request.feature)


def _recipe(work: Work) -> Recipe:
    request = work.request
    return Recipe(
        source=request.spec.source,
        task=request.spec.task,
        strategy=request.spec.strategy,
        feature=request.feature.name,
        labels=work.task.labels,
        options=request.strategy.options.model_dump(mode="json"),
        seed=request.spec.seed,
    )


def _features(work: Work, backbone: Backbone, blob: Blob, part: Examples) -> Array:
    """Cached features of these rows."""
    context = work.context
    cache = FeatureCache(context.registry.home.cache / "features")
    encoding = InputsRecord.store(work.task.inputs, context.registry.blobs).key
    key = features_key(blob.sha256, encoding, part.identities)
    found = cache.get(key)
    if found is not None:
        return found

    told = 0.0

    def progress(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            context.check_cancelled()
            context.report("features", {"done": done, "rows": len(part)})

    computed = compute_features(backbone, work.task, part.inputs, progress, work.threads)
    cache.put(key, computed)
    return computed


def _parity(
    work: Work, backbone: Backbone, head: Blob, trained: "tuple[nn.Module, LinearHead | nn.Module]"
) -> Parity:
    served_head = open_head(work.context.registry.blobs.path(head.sha256))

    def exported(rows: Sequence[Any]) -> Array:
        return np.asarray(served_head(backbone.features(work.task.encode(rows))))

    reference: Outputs = torch_outputs(*trained, work.task)
    with work.context.stage("parity"):
        parts = (work.data.test, work.data.validation, work.data.train)
        some = islice(chain.from_iterable(part.inputs for part in parts), PARITY_CANDIDATES)
        rows = parity_rows(list(some), work.task)
        return check_parity(reference, exported, rows, work.context.settings.max_batch_rows)
