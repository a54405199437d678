"""How many rows a frozen backbone can go over within the budget."""

import time
from dataclasses import replace

import numpy as np

from regraft.adaptations.work import Work, are_known
from regraft.contract import Feature
from regraft.data.split import subset
from regraft.domain import Blob, Examples
from regraft.features import BATCH, features_by

BATCHES = 16
"""Measured before the rest is foreseen; rows of as many are always learnt from."""
OF_CHOICE = 0.25
"""The share of the time in which the choice of the feature goes over rows."""
OF_BEGINNING = 0.25
"""The share of the time in which features are computed where models are trained too: to train on
a row takes about three times as long."""


def within_budget(work: Work, feature: Feature, share: float = 1.0) -> Work:
    """The work with so many of its training rows, in the proportions of the classes, as features
    can be computed of in this share of what is left of the budget, and with as large a share of
    its validation rows; with all where there is no
    budget, or the features are known, or some rows are of another domain."""
    data, least = work.data, _least(work)
    if work.context.deadline is None or data.borrowed or len(data.train) <= least:
        return work
    backbone = work.exported(feature)
    if are_known(work, backbone, data.train):
        return work
    kept = rows_within(work, backbone, data.train, share)
    if kept is data.train:
        return work
    note = f"{len(kept):,} of {len(data.train):,} training rows are used: the budget suffices "
    note += "for no more, and the baselines learn from these too"
    judges, share = data.validation, len(kept) / len(data.train)
    if (fitting := max(least, round(share * len(judges)))) < len(judges):
        rng = np.random.default_rng(work.request.spec.seed)
        judges = subset(judges, data.labels, fitting, rng)
        note += f"; of the validation rows {len(judges):,} of {len(data.validation):,}"
    found = replace(data, train=kept, validation=judges)
    return replace(work, data=found, notes=(*work.notes, note))


def rows_within(work: Work, backbone: Blob, rows: Examples, share: float) -> Examples:
    """So many of these rows, in the proportions of the classes, as this backbone can go over in
    this share of what is left of the budget; all where there is none."""
    context, least = work.context, _least(work)
    if context.deadline is None or len(rows) <= least:
        return rows
    rng = np.random.default_rng(work.request.spec.seed)
    with context.stage("features"):
        seconds = _seconds_a_row(work, backbone, rows.take(rng.permutation(len(rows))[:least]))
    left = context.deadline - time.time()
    fitting = max(least, int(share * left / seconds))
    return rows if fitting >= len(rows) else subset(rows, work.data.labels, fitting, rng)


def _least(work: Work) -> int:
    """Rows that are measured, and always gone over."""
    return BATCH * max(BATCHES, 4 * work.threads)


def _seconds_a_row(work: Work, backbone: Blob, sample: Examples) -> float:
    """By whoever computes so many: the workers where they are enough for them, or this process, as
    fast as all workers on a machine of its own. Without what it takes to begin."""
    first, whole = (_seconds(work, backbone, part) for part in (sample.take([0]), sample))
    return max(whole - first, 1e-9) / len(sample)


def _seconds(work: Work, backbone: Blob, part: Examples) -> float:
    start, asked = time.perf_counter(), work.context.check_cancelled
    features_by(work.running(backbone), work.task, part.inputs, lambda done: asked())
    return time.perf_counter() - start
