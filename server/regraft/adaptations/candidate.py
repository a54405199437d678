"""A candidate: graphs to publish, and the outputs of the test part as they will be served."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft.adaptations.choice import Choice, choose_feature
from regraft.adaptations.work import Work, fitted, frozen_features
from regraft.contract import Array, Feature, LinearHead, OwnHead
from regraft.domain import Blob, Examples
from regraft.export.graph import export_backbone, export_head
from regraft.export.head import linear_head_graph
from regraft.export.parity import (
    ROWS,
    Outputs,
    Parity,
    check_parity,
    parity_rows,
    plain_outputs,
    torch_outputs,
)
from regraft.features import compute_features
from regraft.serving.predictor import open_head

if TYPE_CHECKING:
    from torch import nn

    from regraft.model import TargetModel

PARITY_CANDIDATES = 256
"""Rows among which those for the parity gate are chosen; of files so many as it takes."""


@dataclass(frozen=True)
class Candidate:
    """A model that could be published; `outputs` are those of the test part, as it is served."""

    choice: Choice
    backbone: Blob
    head: Blob
    outputs: Array
    parity: Parity


def adapt_frozen(work: Work) -> Candidate:
    """Feature transfer: the source's own graph, and a head fitted on what that very graph says."""
    request, data, blobs = work.request, work.data, work.context.registry.blobs
    choice = choose_feature(work)
    feature = choice.feature
    exported = work.exported(feature)
    with work.context.stage("features"):
        train, test = (frozen_features(work, feature, part) for part in (data.train, data.test))
    with work.context.stage("train"):
        learnt = fitted(work, request.strategy, train)
    with work.context.stage("export"):
        head = _served(work, learnt)
        blob = blobs.put(_head_graph(head, feature))
    outputs = open_head(blobs.path(blob.sha256))(test)
    parity = _parity(work, (exported, blob), _reference(work, feature, exported, head))
    return Candidate(choice, exported, blob, outputs, parity)


def _reference(
    work: Work, feature: Feature, exported: Blob, head: "LinearHead | nn.Module"
) -> Outputs:
    """What the served graphs must say: torch's word, or where there is no torch module that of the
    source's graph as it is."""
    module = work.request.source.module(feature)
    if module is None:
        path = work.context.registry.blobs.path(exported.sha256)
        return plain_outputs(path, head, work.task)
    return torch_outputs(module, head, work.task)


def adapt_nothing(work: Work, own: OwnHead) -> Candidate:
    """No transfer: the source model's own graph, and the head that it came with."""
    blobs, feature = work.context.registry.blobs, own.feature
    exported = work.exported(feature)
    with work.context.stage("export"):
        head = own.module().eval()
        blob = blobs.put(export_head(head, feature))
    with work.context.stage("features"):
        served = open_head(blobs.path(blob.sha256))
        outputs = served(frozen_features(work, feature, work.data.test))
    parity = _parity(work, (exported, blob), _reference(work, feature, exported, head))
    return Candidate(Choice(feature), exported, blob, outputs, parity)


def adapt_trained(work: Work) -> Candidate:
    """Every other transfer: Ray Train changes the backbone, which is then exported anew."""
    from regraft.adaptations.ray_training import train

    context, blobs = work.context, work.context.registry.blobs
    choice = choose_feature(work)
    feature = choice.feature
    model = train(work, work.request.strategy, feature)
    with context.stage("export"):
        exported = blobs.put(export_backbone(model.backbone, work.task.inputs, feature))
    head = _trained_head(work, model, exported)
    with context.stage("export"):
        head_blob = blobs.put(_head_graph(head, feature))
    with context.stage("features"):
        test = _features(work, exported, work.data.test)
        outputs = open_head(blobs.path(head_blob.sha256))(test)
    reference = torch_outputs(model.backbone, head, work.task)
    parity = _parity(work, (exported, head_blob), reference)
    return Candidate(choice, exported, head_blob, outputs, parity)


def _trained_head(work: Work, model: "TargetModel", backbone: Blob) -> "LinearHead | nn.Module":
    """The head that was trained, or one that is fitted on what the trained backbone says."""
    strategy = work.request.strategy
    if not strategy.refits_head:
        return work.task.serving_head(model.head)
    with work.context.stage("features"):
        features = _features(work, backbone, work.data.train)
    with work.context.stage("train"):
        return _served(work, fitted(work, strategy, features))


def _features(work: Work, backbone: Blob, part: Examples) -> Array:
    rows, threads = part.inputs, work.threads
    (found,) = compute_features(work.open(backbone), work.task, rows, threads=threads)
    return found


def _served(work: Work, head: "LinearHead | nn.Module") -> "LinearHead | nn.Module":
    """A fitted head as it is served."""
    return head if isinstance(head, LinearHead) else work.task.serving_head(head)


def _head_graph(head: "LinearHead | nn.Module", feature: Feature) -> bytes:
    return linear_head_graph(head) if isinstance(head, LinearHead) else export_head(head, feature)


def _parity(work: Work, graphs: tuple[Blob, Blob], reference: Outputs) -> Parity:
    """Backbone and head as they will be served, against the reference."""
    backbone = work.open(graphs[0])
    served_head = open_head(work.context.registry.blobs.path(graphs[1].sha256))

    def exported(rows: Sequence[Any]) -> Array:
        return np.asarray(served_head(backbone.features(work.task.encode(rows))))

    most = ROWS if work.task.suffixes else PARITY_CANDIDATES
    with work.context.stage("parity"):
        parts = (work.data.test, work.data.validation, work.data.train)
        some = islice(chain.from_iterable(part.inputs for part in parts), most)
        rows = parity_rows(list(some), work.task)
        return check_parity(reference, exported, rows, work.context.settings.max_batch_rows)
