"""How fast the adapted backbone is beside the source model's own."""

import time
from collections.abc import Sequence

from regraft.adaptations.learning import Learnt
from regraft.adaptations.work import Work
from regraft.contract import Arrays
from regraft.domain import JSON, Blob
from regraft.errors import UnsupportedError
from regraft.serving.predictor import Backbone

ROWS = 32
ROUNDS = 5


def measure_speed(work: Work, learnt: Learnt) -> JSON:
    """Rows a second of one batch on this machine, of ours and of the frozen source model; sizes in
    bytes; and on the validation part the scores of ours and of the whole model that it learnt from,
    if there is one. UnsupportedError where both compute the same."""
    if learnt.module is None:
        raise UnsupportedError("the backbone is the source model's own")
    if work.request.strategy.kind != "structure":
        raise UnsupportedError("the backbone has the structure of the source model's own")
    rows = work.data.test.inputs
    batch = work.task.encode([rows[i] for i in range(min(ROWS, len(rows)))])
    frozen = work.exported(learnt.feature)
    with work.context.stage("speed"):
        opened = [work.open(blob) for blob in (learnt.backbone, frozen)]
        ours, theirs = paired_rates(opened, batch)
    scores = [metrics[work.task.primary] for metrics in learnt.validation or ()]
    return {
        "validation": dict(zip(("now", "before"), scores, strict=True)) if scores else None,
        "rows_per_second": ours,
        "source_rows_per_second": theirs,
        "ratio": ours / theirs,
        "size_ratio": _ratio(learnt.backbone, frozen),
    }


def paired_rates(backbones: Sequence[Backbone], batch: Arrays) -> list[float]:
    """Rows a second of each, asked in turn, so that all see the same machine."""
    times: list[list[float]] = [[] for _ in backbones]
    for _ in range(ROUNDS):
        for known, backbone in zip(times, backbones, strict=True):
            start = time.perf_counter()
            backbone.outputs(batch)
            known.append(time.perf_counter() - start)
    count = len(next(iter(batch.values())))
    return [count / min(found[1:]) for found in times]


def _ratio(one: Blob, other: Blob) -> float:
    return one.size / other.size
