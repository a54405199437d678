"""What the adapted model is compared with: each an ordinary trial on the same rows and seed."""

from collections.abc import Callable
from dataclasses import replace

from regraft.adaptations.candidate import outputs_of
from regraft.adaptations.learning import Learnt, learn_frozen
from regraft.adaptations.request import with_options
from regraft.adaptations.scratch import scratch_baseline
from regraft.adaptations.work import Work
from regraft.errors import CancelledRunError, RegraftError, UnsupportedError
from regraft.evaluation.report import Judged, judge, majority_baseline, simple_baseline

PROBE = "linear-probe"


def find_baselines(work: Work, learnt: Learnt) -> dict[str, Judged | str]:
    """Majority, simple, probe and scratch; a text says why one could not be had."""
    task, data, seed = work.task, work.data, work.request.spec.seed
    with work.context.stage("baselines"):
        found: dict[str, Judged | str] = {
            "majority": majority_baseline(task, data),
            "simple": simple_baseline(task, data, seed),
        }
    found["scratch"] = _tried(lambda: scratch_baseline(work, learnt))
    found["probe"] = _tried(lambda: probe_baseline(work, learnt))
    return found


def _tried(baseline: Callable[[], Judged]) -> Judged | str:
    try:
        return baseline()
    except CancelledRunError:
        raise
    except RegraftError as error:
        return str(error)


def probe_baseline(work: Work, learnt: Learnt) -> Judged:
    """A linear probe on the frozen source model."""
    request = work.request
    if work.task.form != "pooled" or request.own is not None:
        raise UnsupportedError("a linear probe answers with one class a row, which is not asked")
    if request.strategy.name == PROBE:
        probe = learnt
    else:
        kind = work.context.plugins.strategy(PROBE)
        strategy = with_options(kind, {}, request.spec.seed)
        chosen = replace(request, strategy=strategy)
        probe = learn_frozen(replace(work, request=chosen), learnt.feature)
    targets = work.task.targets(work.data.test.labels)
    return judge(work.task, outputs_of(work, probe, work.data.test), targets)
