"""A candidate: graphs to publish, and what they say of the test part, as they will be served."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from regraft.adaptations.learning import Learnt, say, with_all_labels
from regraft.adaptations.precision import Chosen, choose_precision
from regraft.adaptations.work import Work
from regraft.contract import Array, Feature, LinearHead
from regraft.domain import JSON, Blob
from regraft.evaluation.calibration import calibration_error, fit_temperature, reliability
from regraft.export.graph import export_head
from regraft.export.head import cooled, linear_head_graph
from regraft.export.parity import (
    ROWS,
    Outputs,
    Parity,
    check_parity,
    parity_rows,
    plain_outputs,
    torch_outputs,
)
from regraft.serving.predictor import open_head
from regraft.serving.profile import Profile

if TYPE_CHECKING:
    from torch import nn

WARM_ROWS, MOST_WARM = 8, 2**18
"""Rows that are kept to warm up with, and the bytes that they may have."""
PARITY_CANDIDATES = 256
"""Rows among which those for the parity gate are chosen; of files so many as it takes."""


@dataclass(frozen=True)
class Candidate:
    """A model that could be published; `outputs` are those of the test part, as it is served."""

    learnt: Learnt
    head: Blob
    outputs: Array
    parity: Parity
    precision: Chosen
    calibration: JSON | None = None
    profile: Blob | None = None


def finish(work: Work, learnt: Learnt) -> Candidate:
    """Choose the precision, correct the head's confidence, give it the labels of the validation
    part too where it can have them, export it, and compare what is exported with torch."""
    precision = choose_precision(work, learnt)
    served = precision.learnt
    with work.context.stage("features"):
        test = served.features(work, work.data.test)
        validation = served.features(work, work.data.validation)
    temperature = None
    if work.task.calibrates and work.request.own is None:
        with work.context.stage("calibration"):
            said = say(served.head, validation) if learnt.fair is None else learnt.fair
            temperature = _temperature(work, said)
    final = with_all_labels(work, learnt)
    head = final.head if temperature is None else cooled(final.head, temperature)
    with work.context.stage("export"):
        blob = work.context.registry.blobs.put(_graph(head, learnt))
    outputs = open_head(work.context.registry.blobs.verified(blob.sha256))(test)
    calibration = None
    if temperature is not None:
        calibration = _calibration(work, temperature, (say(final.head, test), outputs))
    parity = _parity(work, (learnt.backbone, blob), _reference(work, learnt, head))
    return Candidate(
        learnt=final,
        head=blob,
        outputs=outputs,
        parity=parity,
        precision=precision,
        calibration=calibration,
        profile=_profile(work, learnt.feature, validation, test),
    )


def _profile(work: Work, feature: Feature, validation: Array, test: Array) -> Blob | None:
    """What the rows of the test part are like, and some of the validation part to warm up with,
    unless they are large: those have one shape, so that any others will do."""
    if feature.form != "pooled" or not np.isfinite(validation).all():
        return None
    with work.context.stage("profile"):
        inputs = work.data.validation.inputs
        rows = work.task.encode([inputs[i] for i in range(min(WARM_ROWS, len(inputs)))])
        small = sum(array.nbytes for array in rows.values()) <= MOST_WARM
        profile = Profile.of(validation, test, rows if small else {})
        return work.context.registry.blobs.put(profile.dump())


def _graph(head: "LinearHead | nn.Module", learnt: Learnt) -> bytes:
    if isinstance(head, LinearHead):
        return linear_head_graph(head)
    return export_head(head, learnt.feature)


def _temperature(work: Work, outputs: Array) -> float:
    """Fitted on what is said of the validation part, which nothing was fitted on."""
    return fit_temperature(outputs, work.task.targets(work.data.validation.labels))


def _calibration(work: Work, temperature: float, outputs: tuple[Array, Array]) -> JSON:
    """The expected calibration error on the test part before and after, and the bins behind it."""
    targets = work.task.targets(work.data.test.labels)
    before, after = (calibration_error(each, targets) for each in outputs)
    return {
        "temperature": temperature,
        "ece_before": before,
        "ece": after,
        "reliability_before": reliability(outputs[0], targets),
        "reliability": reliability(outputs[1], targets),
    }


def _reference(work: Work, learnt: Learnt, head: "LinearHead | nn.Module") -> Outputs:
    """What the served graphs must say: torch's word, or where there is no torch module that of the
    source's graph as it is."""
    module = learnt.module or work.request.source.module(learnt.feature)
    if module is None:
        path = work.context.registry.blobs.verified(learnt.backbone.sha256)
        return plain_outputs(path, head, work.task)
    return torch_outputs(module, head, work.task)


def _parity(work: Work, graphs: tuple[Blob, Blob], reference: Outputs) -> Parity:
    """Backbone and head as they will be served, against the reference."""
    backbone = work.open(graphs[0])
    served_head = open_head(work.context.registry.blobs.verified(graphs[1].sha256))

    def exported(rows: Sequence[Any]) -> Array:
        return np.asarray(served_head(backbone.features(work.task.encode(rows))))

    most = ROWS if work.task.suffixes else PARITY_CANDIDATES
    with work.context.stage("parity"):
        parts = (work.data.test, work.data.validation, work.data.train)
        some = islice(chain.from_iterable(part.inputs for part in parts), most)
        rows = parity_rows(list(some), work.task)
        return check_parity(reference, exported, rows, work.context.settings.max_batch_rows)
