"""One adaptation from beginning to end."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from regraft.adaptations.candidate import Candidate, adapt_frozen, adapt_nothing, adapt_trained
from regraft.adaptations.choice import Choice
from regraft.adaptations.context import Context
from regraft.adaptations.lineage import lineage
from regraft.adaptations.request import Request, check_request
from regraft.adaptations.work import Work
from regraft.contract import OwnHead
from regraft.data.load import load_dataset
from regraft.domain import JSON, UPLOADED, Adaptation, DataSet, ModelVersion, State
from regraft.errors import (
    CancelledRunError,
    DataError,
    InvalidInputError,
    RegraftError,
    RunFailedError,
)
from regraft.evaluation.report import build_report, judge, majority_baseline, simple_baseline
from regraft.registry.manifest import InputsRecord, Manifest, TaskReference

log = logging.getLogger("regraft.adaptations")


def run(context: Context) -> Adaptation:
    """Run the adaptation to a final state, which is recorded; the error, if any, goes on."""
    runs, identifier = context.registry.runs, context.adaptation.id
    if not runs.start(identifier):
        return runs.get(identifier)
    context.plugins.notify("adaptation_started", context.adaptation)
    try:
        result = _stages(context)
    except (CancelledRunError, KeyboardInterrupt) as error:
        _finish(context, State.CANCELLED, {"reason": "cancelled", "status": 409})
        raise CancelledRunError("The adaptation was cancelled.") from error
    except RegraftError as error:
        _finish(context, State.FAILED, _failure(error))
        raise
    except BaseException as error:
        _finish(context, State.FAILED, _failure(error))
        raise RunFailedError(f"{type(error).__name__}: {error}") from error
    _finish(context, State.SUCCEEDED, result)
    return runs.get(identifier)


def _finish(context: Context, state: State, data: JSON) -> None:
    """Record the final state, and tell of it once."""
    runs, identifier = context.registry.runs, context.adaptation.id
    result = data if state == State.SUCCEEDED else None
    if runs.finish(identifier, state, data.get("reason"), result):
        context.report(str(state), data)
        context.plugins.notify("adaptation_finished", runs.get(identifier))


def _failure(error: BaseException) -> JSON:
    problems = {"problems": error.as_dicts()} if isinstance(error, DataError) else {}
    if isinstance(error, RegraftError):
        return {"reason": str(error), "status": error.status, **problems}
    log.exception("adaptation failed")
    return {"reason": f"{type(error).__name__}: {error}", "status": 500}


def _stages(context: Context) -> JSON:
    request = check_request(context.adaptation.spec, context.plugins)
    with context.stage("data"):
        data = load_dataset(request.spec, request.task, context.settings, _resolver(context))
    context.report("data", {"rows": data.counts(), "labels": len(data.labels)})
    inputs = request.task.completed(request.source.inputs, data.train.inputs)
    labels = data.labels if request.own is None else own_labels(request.own, data, request)
    work = Work(request, data, request.task(inputs, labels), context)
    candidate = _adapt(work)
    report = _evaluate(work, candidate)
    _check_open(context)
    with context.stage("publish"):
        version = _publish(work, candidate, report)
    return _result(work, version)


def _adapt(work: Work) -> Candidate:
    if work.request.own is not None:
        return adapt_nothing(work, work.request.own)
    return adapt_frozen(work) if work.request.strategy.freezes_backbone else adapt_trained(work)


def own_labels(own: OwnHead, data: DataSet, request: Request) -> tuple[str, ...]:
    """Those that the source model knows, among which the classes of the data must be."""
    unknown = sorted(set(data.labels) - set(own.labels)) if request.task.classes else []
    if unknown:
        raise InvalidInputError(
            f"Source model '{request.source.name}' knows no class {', '.join(unknown[:5])}; it "
            f"knows {', '.join(own.labels[:20])}."
        )
    return own.labels


def _check_open(context: Context) -> None:
    """A run that somebody cancelled, or that a new server gave up, publishes nothing."""
    context.check_cancelled()
    if context.registry.runs.get(context.adaptation.id).state.final:
        raise RunFailedError("The adaptation was ended by somebody else.")


def _resolver(context: Context) -> Callable[[str], Path]:
    def resolve(reference: str) -> Path:
        if reference.startswith(UPLOADED):
            return context.registry.uploads.path(reference)
        return Path(context.plugins.dataset_path(reference)).expanduser()

    return resolve


def _evaluate(work: Work, candidate: Candidate) -> JSON:
    task, data, seed = work.task, work.data, work.request.spec.seed
    with work.context.stage("baselines"):
        baselines = {
            "majority": majority_baseline(task, data),
            "simple": simple_baseline(task, data, seed),
        }
    with work.context.stage("evaluation"):
        ours = judge(task, candidate.outputs, task.targets(data.test.labels))
        return build_report(task, data, ours, baselines, seed)


def _publish(work: Work, candidate: Candidate, report: JSON) -> ModelVersion:
    """Blobs, then the manifest, then the row, then the table: a version is complete or absent."""
    request, registry = work.request, work.context.registry
    feature = candidate.choice.feature
    parity = candidate.parity.as_dict()
    origin = lineage(request, feature, work.data, work.context.adaptation.id)
    choice = {"feature": feature.name, "losses": candidate.choice.losses}
    whole = {**report, "choice": choice, "parity": parity, "lineage": origin}
    whole["seconds"] = _rounded(work)
    manifest = Manifest(
        task=_task_reference(request, work.context),
        labels=work.task.labels,
        feature=feature,
        inputs=InputsRecord.store(work.task.inputs, registry.blobs),
        backbone=candidate.backbone,
        head=candidate.head,
        report=registry.blobs.put(_json(whole)),
        parity=parity,
        lineage=origin,
    )
    summary = _summary(work, report, parity, candidate.choice)
    return registry.models.publish(
        request.spec.name, manifest.store(registry.blobs), summary, request.spec.promote
    )


def _json(value: JSON) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def _task_reference(request: Request, context: Context) -> TaskReference:
    owner = context.plugins.owner(context.plugins.tasks, request.spec.task)
    return TaskReference(
        name=request.spec.task,
        entry_point=owner.name,
        distribution=owner.distribution,
        version=owner.version,
    )


def _summary(work: Work, report: JSON, parity: JSON, choice: Choice) -> JSON:
    """The figures that a list of versions shows, and that `adapt` answers."""
    primary, metrics = report["primary"], report["metrics"]
    spec = work.request.spec
    return {
        "task": spec.task,
        "source": spec.source,
        "strategy": spec.strategy,
        "feature": choice.feature.name,
        "candidates": max(1, len(choice.losses)),
        "metrics": {
            "primary": metrics[primary],
            **{name: value for name, value in metrics.items() if isinstance(value, float)},
        },
        "primary_metric": primary,
        "baselines": {name: m[primary] for name, m in report["baselines"].items()},
        "gain": report["gain"],
        "parity": parity,
        "rows": work.data.counts(),
    }


def _rounded(work: Work) -> dict[str, float]:
    return {name: round(value, 4) for name, value in work.context.seconds.items()}


def _result(work: Work, version: ModelVersion) -> JSON:
    seconds = _rounded(work)
    promoted = work.request.spec.promote
    return {
        "id": work.context.adaptation.id,
        "name": version.name,
        "version": version.version,
        **version.summary,
        "seconds": {**seconds, "total": round(sum(seconds.values()), 4)},
        "endpoint": f"/v2/models/{version.name}" if promoted else None,
    }
