"""Checks a whole request before anything is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from regraft.contract import Feature, OwnHead, SourceModel, Task, TransferStrategy
from regraft.domain import AdaptationSpec
from regraft.errors import InvalidInputError, RegraftError, UnsupportedError
from regraft.fusion import FusedSource
from regraft.plugins import Plugins
from regraft.reference import is_untrained

PROBE = "linear-probe"
"""What every source model is measured by, and what others begin with."""
AUTO = "auto"
"""As a strategy or a source: the choice is left to us."""


@dataclass(frozen=True)
class Request:
    """A checked request: its names looked up, its options read, its source model opened.

    `candidates` are the features that the backbone may end at: one if the user names it.
    """

    spec: AdaptationSpec
    task: type[Task]
    strategy: TransferStrategy
    source: SourceModel
    candidates: tuple[Feature, ...]
    own: OwnHead | None = None

    @property
    def pretrained(self) -> bool:
        """Whether the source model has learnt anything."""
        return self.source.pretrained and not is_untrained(self.spec.source)


def parse_spec(values: dict[str, Any]) -> AdaptationSpec:
    """A spec from outside; InvalidInputError names each wrong field."""
    try:
        return AdaptationSpec.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error


def check_request(spec: AdaptationSpec, plugins: Plugins) -> Request:
    """Look up every name and read every option; opens the source model but loads no weights."""
    task = plugins.task(spec.task)
    if spec.class_weights and not task.classes:
        raise InvalidInputError(f"Task '{spec.task}' has no classes to weigh (--class-weights).")
    if AUTO in (spec.source, spec.strategy):
        return _standing_in(spec, task, plugins)
    kind = plugins.strategy(spec.strategy)
    strategy = with_options(kind, dict(spec.options), spec.seed)
    source = plugins.open_source(spec.source)
    if source.modality != task.modality:
        raise InvalidInputError(
            f"Task '{spec.task}' takes {task.modality}, but source model '{spec.source}' takes "
            f"{source.modality}. Tasks of {source.modality}: {_tasks_of(source.modality, plugins)}."
        )
    if strategy.uses_own_head:
        own = own_head(source, task)
        return Request(spec, task, strategy, source, (own.feature,), own)
    check_fits(beginnings(strategy, plugins), source, task)
    if strategy.unlabelled == "needed" and spec.unlabelled is None:
        raise InvalidInputError(
            f"Strategy '{strategy.name}' learns from rows of the target without labels: name a "
            "file of them with --unlabelled."
        )
    if strategy.fuses_features:
        source = FusedSource(source, source.candidates(task.form))
    named = strategy.feature()
    offered = source.candidates(task.form) if named is None else ()
    candidates = offered or (source.feature(task.form, named),)
    return Request(spec, task, strategy, source, candidates)


def _standing_in(spec: AdaptationSpec, task: type[Task], plugins: Plugins) -> Request:
    """The request with a strategy and a source that are as good as any to check the rest of it."""
    if spec.strategy == AUTO:
        if spec.options:
            raise InvalidInputError(
                "--option belongs to one strategy, but --strategy auto tries several: name one."
            )
        strategy = PROBE if task.form == "pooled" else "full"
        spec = spec.model_copy(update={"strategy": strategy})
    if spec.source != AUTO:
        return check_request(spec, plugins)
    if task.form != "pooled":
        raise InvalidInputError(
            f"Source models are ranked by one vector a row, and task '{spec.task}' needs a feature "
            f"of the form '{task.form}': name one with --source."
        )
    found, refused = usable(spec, catalogued(task, plugins), plugins)
    if not found:
        reasons = " ".join(f"{name}: {why}" for name, why in refused.items())
        raise InvalidInputError(
            f"The catalogue has no source model of {task.modality} for this: name one with "
            f"--source. {reasons}".strip()
        )
    return next(iter(found.values()))


def usable(
    spec: AdaptationSpec, sources: Sequence[str], plugins: Plugins
) -> tuple[dict[str, Request], dict[str, str]]:
    """The request with each of these source models that it can be had with; why of the others."""
    found, refused = {}, {}
    for name in sources:
        try:
            found[name] = check_request(spec.model_copy(update={"source": name}), plugins)
        except RegraftError as error:
            refused[name] = str(error)
    return found, refused


def catalogued(task: type[Task], plugins: Plugins) -> list[str]:
    """The names of all source models of the task's modality."""
    offers = plugins.sources.items_once()
    return [name for name, _, source in offers if source.modality == task.modality]


def by(spec: AdaptationSpec, strategy: str, **changes: Any) -> AdaptationSpec:
    """The spec with another strategy, as it is by default, and other changes."""
    return spec.model_copy(update={"strategy": strategy, "options": {}, **changes})


def with_options(
    kind: type[TransferStrategy], options: dict[str, Any], seed: int
) -> TransferStrategy:
    """A strategy with its options read; InvalidInputError names what is wrong with one."""
    try:
        return kind(kind.Options.model_validate(options), seed)
    except ValidationError as error:
        known = ", ".join(kind.Options.model_fields) or "none"
        raise InvalidInputError(
            f"Strategy '{kind.name}': {explain(error)} Its options: {known}."
        ) from error


def earlier(strategy: TransferStrategy, plugins: Plugins) -> TransferStrategy | None:
    """The strategy whose result this one begins with, as it is by default."""
    if strategy.after is None:
        return None
    return with_options(plugins.strategy(strategy.after), {}, strategy.seed)


def beginnings(strategy: TransferStrategy, plugins: Plugins) -> list[TransferStrategy]:
    """The strategy, what it begins with, and so on; UnsupportedError if that is without end."""
    found: list[TransferStrategy] = []
    now: TransferStrategy | None = strategy
    while now is not None:
        if now.name in [one.name for one in found]:
            raise UnsupportedError(f"Strategy '{strategy.name}' begins, in the end, with itself.")
        found.append(now)
        now = earlier(now, plugins)
    return found


def steps(strategy: TransferStrategy, plugins: Plugins) -> list[TransferStrategy]:
    """All that learn for it: each of its ingredients, or else itself, and what that begins with."""
    parts = strategy.ingredients() or (strategy,)
    return [one for part in parts for one in beginnings(part, plugins)]


def _tasks_of(modality: str, plugins: Plugins) -> str:
    fitting = [name for name, _, task in plugins.tasks.items_once() if task.modality == modality]
    return ", ".join(fitting) or "none"


def own_head(source: SourceModel, task: type[Task]) -> OwnHead:
    """The head that the source model came with; UnsupportedError if it has none for the task."""
    found = source.own_head(task.name)
    if found is None:
        raise UnsupportedError(
            f"Source model '{source.name}' came without a head for '{task.name}': take a strategy "
            "that learns one, such as linear-probe or full."
        )
    return found


def check_fits(
    strategies: Sequence[TransferStrategy], source: SourceModel, task: type[Task]
) -> None:
    """Raise UnsupportedError if the first of these strategies, which begins with the others, cannot
    work with the source model or for the task."""
    strategy = strategies[0]
    if not strategy.freezes_backbone and not source.trainable:
        raise UnsupportedError(
            f"Strategy '{strategy.name}' changes the backbone, but source model '{source.name}' is "
            "a graph without a torch module: only strategies that freeze the backbone apply, such "
            "as linear-probe."
        )
    fits_head = any(one.fits_head for one in strategies)
    if fits_head and task.form != "pooled":
        raise UnsupportedError(
            f"Strategy '{strategy.name}' fits one vector a row, but task '{task.name}' needs a "
            f"feature of the form '{task.form}': take a strategy that trains a head, such as full."
        )


def explain(error: ValidationError) -> str:
    """What is wrong with which field, a sentence each."""
    return " ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'request'}: {_sentence(detail)}"
        for detail in error.errors(include_url=False, include_context=False)
    )


def _sentence(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "there is no such option."
    message = str(detail["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    told = detail["type"] != "missing" and detail["loc"]  # the whole request is no news
    given = f", not {str(detail['input'])[:60]!r}" if told else ""
    return f"{message[:1].lower()}{message[1:]}{given}."
