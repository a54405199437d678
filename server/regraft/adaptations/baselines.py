"""What the adapted model is compared with: each an ordinary trial on the same rows and seed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from regraft.adaptations.learning import Learnt, learn_frozen, outputs_of, with_all_labels
from regraft.adaptations.request import PROBE, by, check_request
from regraft.adaptations.scratch import scratch_baseline
from regraft.adaptations.work import Work
from regraft.domain import Examples
from regraft.errors import CancelledRunError, RegraftError, UnsupportedError
from regraft.evaluation.report import Judged, judge, majority_baseline, simple_baseline

Result = TypeVar("Result")
log = logging.getLogger("regraft.adaptations")


@dataclass(frozen=True)
class Probe:
    """A linear probe on the frozen source model."""

    work: Work
    learnt: Learnt


def find_baselines(work: Work, learnt: Learnt, probe: Probe | str) -> dict[str, Judged | str]:
    """Majority, simple, scratch and probe; a text says why one could not be had."""
    task, data, seed = work.task, work.data, work.request.spec.seed
    with work.context.stage("baselines"):
        rows = work.weighted(data.labelled)
        found: dict[str, Judged | str] = {
            "majority": majority_baseline(task, data, rows),
            "simple": tried(lambda: simple_baseline(task, data, seed, rows)),
        }
    found["scratch"] = tried(lambda: scratch_baseline(work, learnt))
    found["probe"] = probe if isinstance(probe, str) else _judged(probe)
    return found


def tried(action: Callable[[], Result]) -> Result | str:
    """What it gives, or why it cannot be had: what was trained is not lost for it."""
    try:
        return action()
    except CancelledRunError:
        raise
    except RegraftError as error:
        return str(error)
    except Exception as error:
        log.exception("something to compare with could not be had")
        return f"it failed ({type(error).__name__}: {error})"


def find_probe(work: Work, learnt: Learnt, train: Examples | None = None) -> Probe:
    """Fitted on all labels, or on these rows alone, at the feature at which the model ends, if that
    is one of the source model's."""
    request = work.request
    if request.own is not None:
        raise UnsupportedError("the source model answers by its own head")
    if work.task.form != "pooled":
        raise UnsupportedError("a linear probe answers with one class a row, which is not asked")
    if request.strategy.name == PROBE and train is None:
        return Probe(work, learnt)
    asked = check_request(by(request.spec, PROBE), work.context.plugins)
    data = work.data if train is None else replace(work.data, train=train)
    chosen = Work(asked, data, work.task, work.context.aside())
    choice = None if request.strategy.fuses_features else learnt.choice
    with work.context.stage("baselines"):
        found = learn_frozen(chosen, choice)
        return Probe(chosen, with_all_labels(chosen, found) if train is None else found)


def _judged(probe: Probe) -> Judged:
    work, part = probe.work, probe.work.data.test
    outputs = outputs_of(work, probe.learnt, part)
    return judge(work.task, outputs, work.task.targets(part.labels))
