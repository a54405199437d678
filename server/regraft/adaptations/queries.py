"""What can be asked about the registry and the plugins, as the JSON that the API answers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from regraft.contract import SourceModel, Task
from regraft.domain import JSON
from regraft.errors import UnknownNameError
from regraft.plugins import Plugins
from regraft.registry.store import Registry


def listing(kind: str, registry: Registry, plugins: Plugins) -> list[JSON]:
    """All models, adaptations, endpoints, datasets, sources, tasks, strategies or plugins."""
    lists: dict[str, Callable[[], list[JSON]]] = {
        "models": lambda: [version.as_dict() for version in registry.models.versions()],
        "adaptations": lambda: [run.as_dict() for run in registry.runs.all()],
        "endpoints": lambda: [endpoint.as_dict() for endpoint in registry.models.endpoints()],
        "datasets": lambda: [upload.as_dict() for upload in registry.uploads.all()],
        "sources": lambda: [vars(source) | {"plugin": p} for _, p, source in _of(plugins.sources)],
        "tasks": lambda: [_task(task) | {"plugin": p} for _, p, task in _of(plugins.tasks)],
        "strategies": lambda: [_strategy(s) | {"plugin": p} for _, p, s in _of(plugins.strategies)],
        "plugins": lambda: [record.as_dict() for record in plugins.records],
    }
    if kind not in lists:
        raise UnknownNameError("kind of resource", kind, lists)
    return lists[kind]()


def _of(offers: Any) -> list[tuple[str, str, Any]]:
    found: list[tuple[str, str, Any]] = offers.items_once()
    return found


def _task(task: Any) -> JSON:
    return {
        "name": task.name,
        "modality": task.modality,
        "primary": task.primary,
        "summary": task.summary,
        "suffixes": list(task.suffixes),
        "label_suffixes": list(task.label_suffixes),
        "columns": {"input": list(task.columns.input), "label": list(task.columns.label)},
    }


def _strategy(strategy: Any) -> JSON:
    schema = strategy.Options.model_json_schema()
    options = {name: field.get("default") for name, field in schema.get("properties", {}).items()}
    return {
        "name": strategy.name,
        "kind": strategy.kind,
        "freezes_backbone": strategy.freezes_backbone,
        "unlabelled": strategy.unlabelled,
        "summary": strategy.summary,
        "paper": strategy.paper,
        "options": options,
    }


NOT_MEASURED: JSON = {
    **dict.fromkeys(("verdict", "gain_scratch", "gain_probe", "calibration", "forgetting")),
    **dict.fromkeys(("learning_curve", "speed", "ranking", "precision")),
    "missing": {},
    "tried": [],
    "findings": [],
}
"""What a report says that was written before these were part of it."""


def show_version(registry: Registry, name: str, version: int | None) -> JSON:
    """A version with its whole report; the newest unless it is named."""
    found = registry.models.version(name, version)
    manifest = json.loads(registry.blobs.read(found.manifest.sha256))
    report = json.loads(registry.blobs.read(manifest["report"]["sha256"]))
    blobs = {part: manifest[part]["sha256"] for part in ("backbone", "head")}
    summary = {"verdict": None, "gain_scratch": None, **found.as_dict()}
    return {**summary, "blobs": blobs, "report": {**NOT_MEASURED, **report}}


def show_source(reference: str, plugins: Plugins) -> JSON:
    """What is known of a source model once it is opened."""
    source = plugins.open_source(reference)
    forms = dict.fromkeys(feature.form for feature in source.features)
    candidates = {feature for form in forms for feature in source.candidates(form)}
    features = [
        {**asdict(feature), "candidate": feature in candidates} for feature in source.features
    ]
    return {
        "name": source.name,
        "modality": source.modality,
        **source.details(),
        "parameters": _parameters(source),
        "fingerprint": source.fingerprint(),
        "trainable": source.trainable,
        "features": features,
    }


def _parameters(source: SourceModel) -> int | None:
    """As the source says, else counted in a module that has all that can be chosen."""
    told = source.details().get("parameters")
    if told is not None or not source.trainable:
        return told
    candidates = source.candidates(source.features[0].form)
    several = source.modules(candidates) if len(candidates) > 1 else None
    module = several or source.module(candidates[0])
    return None if module is None else sum(p.numel() for p in module.parameters())


def read_rows(task: Task, inputs: Sequence[Any]) -> list[Any]:
    """Texts, or the contents of files, as rows of the task."""
    if not all(isinstance(item, bytes) for item in inputs):
        return task.read_inputs(inputs)
    items = np.empty(len(inputs), object)
    items[:] = list(inputs)
    return task.rows({task.request_tensors()[0].name: items})


def describe(endpoint: str, version: int, predictions: list[JSON]) -> JSON:
    """The readable form of an answer."""
    return {"model": endpoint, "version": str(version), "predictions": predictions}
