"""A candidate becomes a version, and its endpoint moves unless transfer did harm."""

import json

from regraft.adaptations.candidate import Candidate
from regraft.adaptations.choice import Choice
from regraft.adaptations.context import Context
from regraft.adaptations.lineage import lineage
from regraft.adaptations.request import Request
from regraft.adaptations.work import Work, unlearnt_notes
from regraft.domain import JSON, ModelVersion
from regraft.registry.manifest import InputsRecord, Manifest, TaskReference
from regraft.registry.patience import patiently


def publish(work: Work, candidate: Candidate, report: JSON) -> ModelVersion:
    """Blobs, then the manifest, then the row, then the table: a version is complete or absent."""
    request, registry = work.request, work.context.registry
    learnt = candidate.learnt
    feature = learnt.feature
    parity = candidate.parity.as_dict()
    origin = lineage(request, learnt, work.data, work.context.adaptation.id)
    choice = {"feature": feature.name, "losses": learnt.choice.losses}
    whole = {**report, "choice": choice, "parity": parity, "lineage": origin}
    whole["seconds"] = _rounded(work)
    manifest = Manifest(
        task=_task_reference(request, work.context),
        labels=work.task.labels,
        feature=feature,
        inputs=InputsRecord.store(work.task.inputs, registry.blobs),
        backbone=learnt.backbone,
        variant=candidate.precision.variant,
        head=candidate.head,
        profile=candidate.profile,
        report=registry.blobs.put(_json(whole)),
        parity=parity,
        lineage=origin,
    )
    summary = _summary(work, report, parity, learnt.choice)
    stored, moves = manifest.store(registry.blobs), _moves(work, report)
    return patiently(lambda: registry.models.publish(request.spec.name, stored, summary, moves))


def _moves(work: Work, report: JSON) -> bool:
    """Whether the endpoint goes to the new version."""
    spec = work.request.spec
    return spec.promote and (spec.force or report["verdict"] != "negative")


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
        "adaptation": work.context.adaptation.id,
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
        "baselines": {name: m and m[primary] for name, m in report["baselines"].items()},
        "verdict": report["verdict"],
        "gain": report["gain"],
        "gain_scratch": report["gain_scratch"],
        "trained_parameters": report["trained_parameters"],
        "bytes": report["bytes"],
        "precision": report["precision"]["precision"] if report["precision"]["taken"] else "fp32",
        "parity": parity,
        "rows": work.data.counts(),
    }


def _rounded(work: Work) -> dict[str, float]:
    return {name: round(value, 4) for name, value in work.context.seconds.items()}


def result(work: Work, version: ModelVersion) -> JSON:
    """What `adapt` answers."""
    seconds, spec = _rounded(work), work.request.spec
    moved = _moves(work, version.summary)
    return {
        "id": work.context.adaptation.id,
        "name": version.name,
        "version": version.version,
        **version.summary,
        "seconds": {**seconds, "total": round(sum(seconds.values()), 4)},
        "endpoint": f"/v2/models/{version.name}" if moved else None,
        "held_back": spec.promote and not moved,
        "notes": unlearnt_notes(work),
    }
