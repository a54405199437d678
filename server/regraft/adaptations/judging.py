"""The report of a candidate."""

from dataclasses import replace
from functools import partial

import numpy as np

from regraft.adaptations.baselines import Probe, find_baselines, find_probe, tried
from regraft.adaptations.candidate import Candidate
from regraft.adaptations.findings import find_findings
from regraft.adaptations.learning import Learnt, outputs_of
from regraft.adaptations.speed import measure_speed
from regraft.adaptations.training import Limits, here, on_ray
from regraft.adaptations.trial import try_out
from regraft.adaptations.work import Work, unlearnt_notes
from regraft.data.load import ALIKE
from regraft.data.split import subset
from regraft.domain import JSON
from regraft.errors import UnsupportedError
from regraft.evaluation.report import build_report, judge

SHARES = (0.25, 0.5)


def evaluate(work: Work, candidate: Candidate) -> JSON:
    """Its metrics beside those of the baselines, its verdict, what it took, and what is to be known
    of the data."""
    task, data, learnt = work.task, work.data, candidate.learnt
    probe = tried(lambda: find_probe(work, learnt))
    baselines = find_baselines(work, learnt, probe)
    with work.context.stage("evaluation"):
        ours = judge(task, candidate.outputs, task.targets(data.test.labels))
        report = build_report(
            task, data, ours, baselines, work.request.spec.seed, work.request.pretrained
        )
    more = {
        "forgetting": tried(lambda: forgetting(work, learnt)),
        "learning_curve": tried(lambda: learning_curve(work, learnt)),
        "speed": tried(lambda: measure_speed(work, learnt)),
    }
    reasons = {name: why for name, why in more.items() if isinstance(why, str)}
    known = probe if isinstance(probe, Probe) else None
    if isinstance(probe, str):
        reasons["data_findings"] = probe
    return {
        **report,
        **{name: None if name in reasons else value for name, value in more.items()},
        "missing": {**report["missing"], **reasons},
        "notes": [*report["notes"], *unlearnt_notes(work)],
        "calibration": candidate.calibration,
        "precision": candidate.precision.record,
        "findings": find_findings(known.work, known.learnt.feature) if known else [],
        "trained_parameters": learnt.parameters,
        "bytes": {"backbone": learnt.backbone.size, "head": candidate.head.size},
    }


def forgetting(work: Work, learnt: Learnt) -> JSON:
    """Score and loss on held-out rows of the source domain: of a probe that knows that domain
    alone, and of the adapted model."""
    data, task = work.data, work.task
    if data.source is None:
        raise UnsupportedError("no rows of the source domain are known (--source-data)")
    first = len(data.train) - data.borrowed
    rows = data.train.take(range(first, len(data.train)))
    unseen = sorted(set(data.labels) - set(rows.labels)) if task.classes else []
    if unseen:
        raise UnsupportedError(
            f"the source domain has no rows of {', '.join(unseen[:5])}: what knows it alone cannot "
            "answer with all labels"
        )
    before = find_probe(work, learnt, rows)
    targets = task.targets(data.source.labels)
    with work.context.stage("evaluation"):
        found = {
            name: task.metrics(outputs_of(known, model, data.source), targets)
            for name, known, model in (
                ("before", before.work, before.learnt),
                ("after", work, learnt),
            )
        }
    return {
        name: {"primary": metrics[task.primary], "loss": metrics["loss"]}
        for name, metrics in found.items()
    }


def learning_curve(work: Work, learnt: Learnt) -> list[JSON]:
    """What fewer rows to learn from give on the test part, each by a trial of its own; for a share
    that there was no time for the reason."""
    request, data = work.request, work.data
    if not request.spec.learning_curve:
        raise UnsupportedError("it was not asked for (--learning-curve)")
    if request.own is not None:
        raise UnsupportedError("nothing was learnt from rows")
    labels = data.labels if work.task.classes else ALIKE
    run = here if request.strategy.freezes_backbone else on_ray
    targets = work.task.targets(data.test.labels)
    points = []
    for share in SHARES:
        rng = np.random.default_rng(request.spec.seed)
        train, validation = (
            subset(part, labels, max(1, round(share * len(part))), rng)
            for part in (data.train, data.validation)
        )
        part = replace(data, train=train, validation=validation)
        fewer = replace(work, data=part, context=work.context.aside())
        limits = Limits(work.context.deadline, whole=True)
        with work.context.stage("learning_curve"):
            trial = tried(partial(try_out, fewer, learnt.feature, {"test": data.test}, run, limits))
        point: JSON = {"share": share, "rows": len(train)}
        if isinstance(trial, str):
            points.append({**point, "primary": None, "reason": trial})
            continue
        primary = work.task.metrics(trial.outputs["test"], targets)[work.task.primary]
        points.append({**point, "primary": primary})
    return points
