"""The transfer report of a version: its metrics on the test part, beside those of the baselines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from regraft.contract import Array, Task
from regraft.domain import JSON, DataSet, Examples
from regraft.evaluation.intervals import Interval, paired_bootstrap
from regraft.evaluation.verdict import decide


@dataclass(frozen=True)
class Judged:
    """Something that was asked for the test rows: its outputs and what they are worth."""

    outputs: Array
    metrics: JSON


Baselines = Mapping[str, Judged | str]
"""By name; a text says why there is none."""


def judge(task: Task, outputs: Array, targets: Array) -> Judged:
    return Judged(outputs, task.metrics(outputs, targets))


def majority_baseline(task: Task, data: DataSet, rows: Examples | None = None) -> Judged:
    """A model that learnt nothing but how frequent the classes are, in training or in these
    rows."""
    targets = task.targets(data.test.labels)
    known = task.targets((data.train if rows is None else rows).labels)
    return judge(task, task.majority(known, len(targets)), targets)


def simple_baseline(task: Task, data: DataSet, seed: int, rows: Examples | None = None) -> Judged:
    """What can be had without a source model, trained on the same labels, or on these rows."""
    estimator = task.simple_baseline(seed)
    rows = data.labelled if rows is None else rows
    with threadpool_limits(1):  # small products: threads wait for each other, and for other work
        estimator.fit(rows.inputs, task.targets(rows.labels))
        outputs = np.asarray(estimator.predict_proba(data.test.inputs))
    if task.classes and outputs.ndim == 2:
        outputs = _spread(outputs, getattr(estimator, "classes_", None), len(task.labels))
    return judge(task, outputs, task.targets(data.test.labels))


def _spread(outputs: Array, known: Array | None, labels: int) -> Array:
    """A column for each label [N, labels], also for those of which there were no rows."""
    if known is None or outputs.shape[1] == labels:
        return outputs
    spread = np.zeros((len(outputs), labels), outputs.dtype)
    spread[:, known] = outputs
    return spread


def build_report(
    task: Task, data: DataSet, ours: Judged, baselines: Baselines, seed: int, pretrained: bool
) -> JSON:
    """The whole report as JSON. A gain is ours against a baseline, positive is better; the verdict
    is over the gains against the simple baseline, against the majority, which a simple one that
    learnt noise may fall short of, and, where there is one, against scratch. Without the simple one
    it is never positive."""
    gains = {
        name: _gain(task, data.test, (ours, against), seed)
        for name, against in baselines.items()
        if isinstance(against, Judged)
    }
    judging = [gains[name] for name in JUDGING if name in gains]
    return {
        "primary": task.primary,
        "verdict": decide(judging, pretrained and "simple" in gains),
        "metrics": ours.metrics,
        "baselines": {
            name: _without_tables(found.metrics) if isinstance(found, Judged) else None
            for name, found in baselines.items()
        },
        "missing": {name: why for name, why in baselines.items() if isinstance(why, str)},
        "gain": _as_dict(gains, "simple", task),
        "gain_scratch": _as_dict(gains, "scratch", task),
        "gain_probe": _as_dict(gains, "probe", task),
        "gain_majority": _as_dict(gains, "majority", task),
        "labels": list(task.labels),
        "rows": data.counts(),
        "fingerprint": data.fingerprint,
        "notes": [*data.notes, *_warnings(gains, pretrained)],
    }


def _without_tables(metrics: JSON) -> JSON:
    """A confusion of a thousand classes takes megabytes, and nobody is shown that of a baseline."""
    return {name: value for name, value in metrics.items() if not _is_table(value)}


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _gain(task: Task, test: Examples, pair: tuple[Judged, Judged], seed: int) -> Interval:
    targets = task.targets(test.labels)
    ours, theirs = (task.scores(judged.outputs, targets) for judged in pair)
    return paired_bootstrap(ours, theirs, seed, _units(test))


def _units(rows: Examples) -> list[str] | None:
    """What the bootstrap draws: groups; a row without one is a unit of its own."""
    if rows.groups is None:
        return None
    return [f"g:{group}" if group else f"r:{i}" for i, group in enumerate(rows.groups)]


def _as_dict(gains: Mapping[str, Interval], against: str, task: Task) -> JSON | None:
    if against not in gains:
        return None
    return {**gains[against].as_dict(), "against": against, "metric": task.primary}


def _warnings(gains: Mapping[str, Interval], pretrained: bool) -> list[str]:
    """What a reader must not miss."""
    found = [
        f"on the test part it is {100 * -gain.value:.1f} points worse than {KNOWN[name]}"
        for name, gain in gains.items()
        if round(1000 * gain.value) < 0
    ]
    majority = gains.get("majority")
    if majority is not None and majority.low <= 0 <= round(1000 * majority.value):
        found.append(f"it is not surely better than {KNOWN['majority']}")
    if not pretrained:
        found.append("the source model has no pretrained weights: nothing is transferred from it")
    return found


JUDGING = ("simple", "majority", "scratch")
KNOWN = {
    "majority": "always the same answer, the likeliest",
    "simple": "the simple baseline, which needs no source model",
    "scratch": "the same architecture trained from random weights",
    "probe": "a linear probe on the frozen source model",
}
