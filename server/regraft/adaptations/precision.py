"""Whether a version is served in less precision: if that is faster here and as good."""

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np

from regraft.adaptations.learning import Learnt, outputs_of
from regraft.adaptations.speed import paired_rates
from regraft.adaptations.work import Work
from regraft.arrays import joined_rows
from regraft.contract import Arrays
from regraft.domain import JSON, Examples
from regraft.errors import UnsupportedError
from regraft.export.precision import Precision, by_error, in_precision
from regraft.registry.blobs import write_atomically
from regraft.registry.manifest import Variant
from regraft.serving.instructions import instructions
from regraft.serving.optimised import hardware

FASTER = 1.1
"""What it must be at least, in rows a second: less would not pay for another graph."""
MOST_ROWS = 2000
"""By which quality is compared."""
LEFT_OUT = (0, 3)
"""Products that stay as they are, in turn, until quality suffices: each try takes seconds."""


@dataclass(frozen=True)
class Chosen:
    """What was decided: what is learnt as it will be served, the variant if there is one, and the
    figures behind it."""

    learnt: Learnt
    variant: Variant | None
    record: JSON


def choose_precision(work: Work, learnt: Learnt) -> Chosen:
    """8-bit integers on processors, 16-bit floats where serving takes a GPU; both are compared with
    32-bit floats on rows of training and validation. Where integers cost too much, the products
    that suffer most stay as they are."""
    gpu = bool(work.context.settings.use_gpu)
    wanted: Precision = "fp16" if gpu else "int8"
    figures: JSON = {"precision": wanted, "taken": False, "reason": "fp32 was asked for"}
    if work.request.spec.precision == "fp32":
        return Chosen(learnt, None, figures)
    with work.context.stage("precision"):
        for count in LEFT_OUT[:1] if gpu else LEFT_OUT:
            figures = {"precision": wanted, "taken": False, "left_out": count}
            try:
                served = _measured(work, replace(learnt, gpu=gpu), figures)
            except UnsupportedError as error:
                figures["reason"] = str(error)
                if not isinstance(error, TooCostlyError):
                    break
                continue
            able = () if gpu else instructions()
            variant = Variant(backbone=served.backbone, precision=wanted, instructions=able)
            figures |= {"taken": True, "reason": None, "instructions": list(able)}
            return Chosen(served, variant, figures)
    return Chosen(learnt, None, figures)


class TooCostlyError(UnsupportedError):
    """Less precision costs more quality than it may."""


def _measured(work: Work, plain: Learnt, figures: JSON) -> Learnt:
    """The same in less precision; UnsupportedError where that is not worth it. The figures are
    completed."""
    home, wanted, batch = work.context.registry.home, figures["precision"], _batch(work)
    graph = home.blobs.read(plain.backbone.sha256)
    left_out = by_error(graph, batch)[: figures["left_out"]] if figures["left_out"] else []
    blob = in_precision(wanted, plain.backbone, home, left_out)
    other = replace(plain, backbone=blob)
    figures["bytes"] = blob.size
    figures["ratio"] = ratio = _ratio(work, (plain, other), batch)
    if ratio < FASTER:
        raise UnsupportedError(
            f"it is {ratio:.2f} times as fast on this machine, less than {FASTER}"
        )
    figures["compared"] = found = _quality(work, (plain, other), wanted)
    most = work.request.spec.quality_loss
    if not found["fp32"] - found[wanted] <= most:  # True for NaN
        raise TooCostlyError(
            f"{work.task.primary} of {found['rows']:,} training and validation rows falls from "
            f"{found['fp32']:.3f} to {found[wanted]:.3f}, by more than {most:g}"
        )
    return other


def _batch(work: Work) -> Arrays:
    rows, count = work.data.validation.inputs, work.context.settings.max_batch_rows
    return work.task.encode([rows[i] for i in range(min(count, len(rows)))])


def _ratio(work: Work, pair: tuple[Learnt, Learnt], batch: Arrays) -> float:
    """How many times as fast the second is; measured once on a machine like this one, so that the
    same request is decided alike."""
    names = (
        *(one.backbone.sha256 for one in pair),
        hardware(),
        str(len(next(iter(batch.values())))),
    )
    key = hashlib.sha256(" ".join(names).encode()).hexdigest()
    note = work.context.registry.home.cache / "speeds" / f"{key}.json"
    if not note.is_file():
        plain, other = paired_rates([work.open(one.backbone, one.gpu) for one in pair], batch)
        write_atomically(note, json.dumps(other / plain).encode())
    return float(json.loads(note.read_text()))


def _quality(work: Work, pair: tuple[Learnt, Learnt], wanted: Precision) -> JSON:
    """The primary metric of both on the rows that nobody judges by."""
    parts = [part for part in _known_rows(work) if len(part)]
    targets = work.task.targets([label for part in parts for label in part.labels])
    found: JSON = {"rows": len(targets)}
    for name, one in zip(("fp32", wanted), pair, strict=True):
        outputs = joined_rows([outputs_of(work, one, part) for part in parts])
        found[name] = work.task.metrics(outputs, targets)[work.task.primary]
    return found


def _known_rows(work: Work) -> tuple[Examples, Examples]:
    """The validation part, and as many training rows of the target as make it large enough: of few
    rows one more or less is a point or two."""
    data, rng = work.data, np.random.default_rng(work.request.spec.seed)
    own = len(data.train) - data.borrowed
    judges = data.validation
    if len(judges) > MOST_ROWS:
        judges = judges.take(rng.permutation(len(judges))[:MOST_ROWS])
    wanted = MOST_ROWS - len(judges)
    chosen = range(own) if own <= wanted else rng.permutation(own)[:wanted]
    whole = len(chosen) == len(data.train)
    return judges, data.train if whole else data.train.take(chosen)
