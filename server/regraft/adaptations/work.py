"""A request with its data, in progress, and what its frozen backbones say of the rows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from regraft.adaptations.context import Context
from regraft.adaptations.request import Request, steps
from regraft.contract import Array, Feature, LinearHead, OwnHead, Task, TransferStrategy
from regraft.data.balance import balanced
from regraft.data.folds import make_folds
from regraft.domain import Blob, DataSet, Examples
from regraft.errors import InvalidInputError
from regraft.export.frozen import frozen_backbone, frozen_candidates
from regraft.features import (
    Batches,
    FeatureCache,
    Run,
    TorchBackbone,
    features_by,
    features_key,
    in_threads,
)
from regraft.registry.manifest import InputsRecord
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime, available_cpus
from regraft.threads import torch_threads
from regraft.training.build import Recipe

if TYPE_CHECKING:
    from torch import nn

REPORT_SECONDS = 0.3


@dataclass(frozen=True)
class Work:
    request: Request
    data: DataSet
    task: Task
    context: Context
    known: dict[Feature, Blob] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What of the rows is not learnt from."""

    @property
    def threads(self) -> int:
        return self.context.settings.threads or available_cpus()

    def open(self, blob: Blob, gpu: bool = False) -> Backbone:
        return Backbone(self.context.registry.blobs.verified(blob.sha256), Runtime(gpu=gpu))

    @property
    def inputs(self) -> InputsRecord:
        """How rows are encoded, as it is stored."""
        return InputsRecord.store(self.task.inputs, self.context.registry.blobs)

    def running(self, backbone: Blob, gpu: bool = False) -> Run:
        """Who computes features: threads of this process, or of many rows the workers that were
        asked for."""
        workers, settings = self.request.spec.workers or 1, self.context.settings

        def here(rows: Sequence[Any], batches: Sequence[Array]) -> Batches:
            return in_threads(self.open(backbone, gpu), self.task, self.threads)(rows, batches)

        if workers == 1:
            return here
        from regraft.training.cluster import is_connected
        from regraft.training.extraction import LEAST, Extraction

        blob, task = backbone.sha256, self.task
        made = Extraction(blob, task.name, self.inputs, task.labels, settings, workers)

        def run(rows: Sequence[Any], batches: Sequence[Array]) -> Batches:
            apart = is_connected() and len(batches) >= LEAST
            return (made.over if apart else here)(rows, batches)

        return run

    def exported(self, feature: Feature) -> Blob:
        """The frozen backbone that ends at this feature."""
        if feature not in self.known:
            home = self.context.registry.home
            with self.context.stage("source_export"):
                self.known[feature] = frozen_backbone(self.request.source, feature, home).blob
        return self.known[feature]

    def exported_candidates(self, features: Sequence[Feature]) -> Blob:
        """One frozen graph with all of these features as its outputs; it is known of each where
        it ends by itself."""
        source, home = self.request.source, self.context.registry.home
        with self.context.stage("source_export"):
            for feature in features:
                self.known[feature] = frozen_backbone(source, feature, home).blob
            return frozen_candidates(source, features, home).blob

    def weighted(self, rows: Examples | None = None) -> Examples:
        """The training rows, or these, those of rare classes repeated if classes are to count
        alike."""
        rows = self.data.train if rows is None else rows
        if not self.request.spec.class_weights:
            return rows
        return rows.take(balanced(rows.labels, self.request.spec.seed))

    def parts(self) -> dict[str, tuple[Any, ...]]:
        """Rows and targets of train and validation, as training takes them, and rows of the target
        without labels."""
        train, validation, more = self.weighted(), self.data.validation, self.data.unlabelled
        others = () if more is None else more.inputs
        targets = self.task.targets(train.labels)
        # No task is asked for the targets of no rows.
        held_out = self.task.targets(validation.labels) if len(validation) else targets[:0]
        return {
            "train": (train.inputs, targets, others),
            "validation": (validation.inputs, held_out),
        }


def begin(request: Request, data: DataSet, context: Context) -> Work:
    """The work as it is before anything is learnt: the task knows its columns and its labels."""
    inputs = request.task.completed(request.source.inputs, data.train.inputs)
    labels = data.labels if request.own is None else _own_labels(request.own, data, request)
    return Work(request, data, request.task(inputs, labels), context)


def unlearnt_notes(work: Work) -> list[str]:
    """Rows that were given and not learnt from: by what the work tells, and those without labels
    where the strategy looks at none."""
    strategy, rows = work.request.strategy, work.data.unlabelled
    learning = steps(strategy, work.context.plugins)
    if rows is None or any(one.unlabelled != "unused" for one in learning):
        return [*work.notes]
    return [
        *work.notes,
        f"the {len(rows):,} rows without labels were not learnt from: '{strategy.name}' takes none",
    ]


def _own_labels(own: OwnHead, data: DataSet, request: Request) -> tuple[str, ...]:
    """Those that the source model knows, among which the classes of the data must be."""
    unknown = sorted(set(data.labels) - set(own.labels)) if request.task.classes else []
    if unknown:
        raise InvalidInputError(
            f"Source model '{request.source.name}' knows no class {', '.join(unknown[:5])}; it "
            f"knows {', '.join(own.labels[:20])}."
        )
    return own.labels


def recipe(work: Work, strategy: TransferStrategy, feature: Feature) -> Recipe:
    """What travels to the workers that train the request's source by this strategy."""
    spec = work.request.spec
    return Recipe(
        source=spec.source,
        task=spec.task,
        strategy=strategy.name,
        feature=feature.name,
        inputs=work.task.inputs,
        labels=work.task.labels,
        options=strategy.options.model_dump(mode="json"),
        seed=strategy.seed,
    )


def fitted(work: Work, strategy: TransferStrategy, features: Array) -> "LinearHead | nn.Module":
    """The head that the strategy fits to these features of the training rows."""
    train, seed = work.weighted(), work.request.spec.seed
    if work.request.spec.class_weights:
        features = features[balanced(work.data.train.labels, seed)]
    return strategy.fit(features, work.task.targets(train.labels), make_folds(train, seed))


def frozen_features(work: Work, feature: Feature, part: Examples) -> Array:
    """What the backbone that ends at `feature` says of these rows, from the cache if it did."""
    return features_of(work, work.exported(feature), part)


def features_of(work: Work, backbone: Blob, part: Examples, gpu: bool = False) -> Array:
    """What this backbone says of these rows, from the cache if it did."""
    (found,) = _cached(work, [backbone.sha256], part, lambda: work.running(backbone, gpu))
    return found


def features_of_all(work: Work, candidates: Sequence[Feature], part: Examples) -> list[Array]:
    """The same for several features, all computed in one pass."""
    if len(candidates) == 1:
        work.exported(candidates[0])
        with work.context.stage("features"):
            return [frozen_features(work, candidates[0], part)]
    whole = work.exported_candidates(candidates)
    with work.context.stage("features"):
        known = [work.known[feature].sha256 for feature in candidates]
        return _cached(work, known, part, lambda: work.running(whole))


def features_for_a_guess(work: Work, candidates: Sequence[Feature], part: Examples) -> list[Array]:
    """The same by the source's own module, if it has one: an export takes longer than the rows."""
    source = work.request.source
    module = source.modules(candidates) if len(candidates) > 1 else source.module(candidates[0])
    if module is None:
        return features_of_all(work, candidates, part)
    names = [f"{source.fingerprint()} {feature}" for feature in candidates]
    with work.context.stage("features"), torch_threads(work.threads):
        run = in_threads(TorchBackbone(module), work.task, 1)
        return _cached(work, names, part, lambda: run)


def are_known(work: Work, backbone: Blob, part: Examples) -> bool:
    """Whether the cache tells what this backbone says of these rows."""
    _, (found,) = _known(work, [backbone.sha256], part)
    return found is not None


def _known(
    work: Work, names: Sequence[str], part: Examples
) -> tuple[list[str], list[Array | None]]:
    """The key of each name, and what the cache holds under it."""
    owner = work.context.plugins.owner(work.context.plugins.tasks, work.request.spec.task)
    encoding = f"{work.request.spec.task} {owner.distribution} {owner.version} {work.inputs.key}"
    cache = _cache(work)
    keys = [features_key(name, encoding, part.identities) for name in names]
    return keys, [cache.get(key) for key in keys]


def _cache(work: Work) -> FeatureCache:
    return FeatureCache(work.context.registry.home.features)


def _cached(
    work: Work, names: Sequence[str], part: Examples, run: Callable[[], Run]
) -> list[Array]:
    """An array for each name, which tells one output of a backbone from all others."""
    cache = _cache(work)
    keys, known = _known(work, names, part)
    found = [array for array in known if array is not None]
    if len(found) == len(keys):
        return found
    told = _progress(work.context, len(part))
    with cache.rooms() as room:
        computed = features_by(run(), work.task, part.inputs, told, room)
    for key, array in zip(keys, computed, strict=True):
        cache.put(key, array)
    return computed


def _progress(context: Context, rows: int) -> Callable[[int], None]:
    """Tells how many rows are done, now and then, and stops a run that was cancelled."""
    told = 0.0

    def progress(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            context.check_cancelled()
            context.report("features", {"done": done, "rows": rows})

    return progress
