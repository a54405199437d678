"""The report of a candidate."""

from regraft.adaptations.baselines import find_baselines
from regraft.adaptations.candidate import Candidate
from regraft.adaptations.learning import Learnt
from regraft.adaptations.work import Work
from regraft.domain import JSON
from regraft.evaluation.report import build_report, judge


def evaluate(work: Work, learnt: Learnt, candidate: Candidate) -> JSON:
    """Its metrics beside those of the baselines, its verdict, and what it took."""
    task, data = work.task, work.data
    baselines = find_baselines(work, learnt)
    with work.context.stage("evaluation"):
        ours = judge(task, candidate.outputs, task.targets(data.test.labels))
        report = build_report(
            task, data, ours, baselines, work.request.spec.seed, work.request.pretrained
        )
    return {
        **report,
        "calibration": candidate.calibration,
        "trained_parameters": candidate.parameters,
        "bytes": {"backbone": candidate.backbone.size, "head": candidate.head.size},
    }
