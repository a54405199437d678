"""The report of a version: its metrics on the test part, beside those of the baselines."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from regraft.contract import Array, Task
from regraft.domain import JSON, DataSet, Examples
from regraft.evaluation.intervals import paired_bootstrap


@dataclass(frozen=True)
class Judged:
    """Something that was asked for the test rows: its outputs and what they are worth."""

    outputs: Array
    metrics: JSON


def judge(task: Task, outputs: Array, targets: Array) -> Judged:
    return Judged(outputs, task.metrics(outputs, targets))


def majority_baseline(task: Task, data: DataSet) -> Judged:
    """A model that learnt nothing but how frequent the classes are."""
    targets = task.targets(data.test.labels)
    return judge(task, task.majority(task.targets(data.train.labels), len(targets)), targets)


def simple_baseline(task: Task, data: DataSet, seed: int) -> Judged:
    """What can be had without a source model, trained on the same rows."""
    estimator = task.simple_baseline(seed)
    known = task.targets(data.train.labels)
    with threadpool_limits(1):  # small products: threads wait for each other, and for other work
        estimator.fit(data.train.inputs, known)
        outputs = np.asarray(estimator.predict_proba(data.test.inputs))
    return judge(task, outputs, task.targets(data.test.labels))


def _units(rows: Examples) -> list[str] | None:
    """What the bootstrap draws: groups; a row without one is a unit of its own."""
    if rows.groups is None:
        return None
    return [f"g:{group}" if group else f"r:{i}" for i, group in enumerate(rows.groups)]


def build_report(
    task: Task, data: DataSet, ours: Judged, baselines: dict[str, Judged], seed: int
) -> JSON:
    """The whole report as JSON; `gain` is ours against the simple baseline, positive is better."""
    targets = task.targets(data.test.labels)
    gain = paired_bootstrap(
        task.scores(ours.outputs, targets),
        task.scores(baselines["simple"].outputs, targets),
        seed,
        _units(data.test),
    )
    return {
        "primary": task.primary,
        "metrics": ours.metrics,
        "baselines": {name: judged.metrics for name, judged in baselines.items()},
        "gain": {**gain.as_dict(), "against": "simple", "metric": task.primary},
        "labels": list(task.labels),
        "rows": data.counts(),
        "fingerprint": data.fingerprint,
        "notes": list(data.notes),
    }
