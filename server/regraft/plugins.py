"""Finds, loads and asks plugins. A broken one is listed with its reason and stops nobody."""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from regraft import hookspecs
from regraft.contract import SourceDescriptor, SourceModel, Task, TransferStrategy
from regraft.domain import Adaptation, Event
from regraft.errors import ConflictError, InvalidInputError, RegraftError, UnknownNameError
from regraft.settings import Settings

log = logging.getLogger("regraft.plugins")

Named = TypeVar("Named")
OURS = "regraft"

COMPLETE: dict[type, tuple[str, ...]] = {
    SourceDescriptor: (),
    Task: ("summary", "modality", "primary", "form", "inputs_type", "columns"),
    TransferStrategy: ("summary", "kind"),
}
"""What a class of this kind must have beside its name, since the catalogue shows or uses it."""


@dataclass
class PluginRecord:
    """One installed plugin: LOADED or FAILED, and what it provides."""

    name: str
    module: str
    distribution: str
    version: str
    state: str = "LOADED"
    reason: str | None = None
    provides: list[str] = field(default_factory=list)

    def fail(self, reason: str) -> None:
        self.state, self.reason = "FAILED", reason
        log.warning("plugin %s of %s: %s", self.name, self.distribution, reason)

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


class Offers(dict[str, list[tuple[str, Named]]]):
    """Offered things by name, each with the plugins that offer it."""

    def one(self, kind: str, name: str) -> Named:
        """The thing of this name; an error if none or several plugins offer it."""
        if name not in self:
            raise UnknownNameError(kind, name, self)
        if len(self[name]) > 1:
            owners = " and ".join(f"'{plugin}'" for plugin, _ in self[name])
            raise ConflictError(
                f"The plugins {owners} both offer the {kind} '{name}'. Uninstall one of them."
            )
        return self[name][0][1]

    def items_once(self) -> list[tuple[str, str, Named]]:
        """(name, plugin, thing) of everything offered, by name."""
        return [(n, plugin, thing) for n in sorted(self) for plugin, thing in self[n]]


class Plugins:
    """The plugins of this process."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.records: list[PluginRecord] = []
        self.sources: Offers[SourceDescriptor] = Offers()
        self.tasks: Offers[type[Task]] = Offers()
        self.strategies: Offers[type[TransferStrategy]] = Offers()

    @classmethod
    def load(cls, only: Iterable[str] | None = None) -> "Plugins":
        """All installed plugins, or those of these entry-point names, in a stable order."""
        plugins = cls()
        wanted = None if only is None else set(only)
        for point in sorted(_allowed(), key=lambda point: (point.name, point.value)):
            if wanted is None or point.name in wanted:
                plugins.add_entry_point(point)
        return plugins

    def require(self, name: str) -> None:
        """Load the entry point of this name unless it is; UnknownNameError if there is none."""
        if any(record.name == name for record in self.records):
            return
        found = {point.name: point for point in _allowed()}
        if name not in found:
            raise UnknownNameError("plugin", name, found)
        self.add_entry_point(found[name])

    def add_entry_point(self, point: EntryPoint) -> None:
        dist = point.dist
        name, version = (dist.name, dist.version) if dist else ("unknown", "unknown")
        record = PluginRecord(point.name, point.value, name, version)
        self.records.append(record)
        try:
            plugin = point.load()
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything at import
            record.fail(f"cannot be imported: {type(error).__name__}: {error}")
            return
        self._register(plugin, record)

    def add(self, plugin: object, name: str) -> None:
        """A plugin that is not installed: a module or object with hook implementations."""
        record = PluginRecord(name, type(plugin).__name__, "local", "0")
        self.records.append(record)
        self._register(plugin, record)

    def _register(self, plugin: object, record: PluginRecord) -> None:
        if self.manager.is_registered(plugin):
            record.fail(f"is the same as the plugin '{self.manager.get_name(plugin)}'")
            return
        try:
            self.manager.register(plugin, f"{record.distribution}:{record.name}")
            self.manager.check_pending()
            found = [
                *self._collect(plugin, "register_source_models", SourceDescriptor),
                *self._collect(plugin, "register_tasks", Task),
                *self._collect(plugin, "register_strategies", TransferStrategy),
            ]
        except Exception as error:  # noqa: BLE001 - a plugin's hooks may raise anything
            if self.manager.is_registered(plugin):
                self.manager.unregister(plugin)
            record.fail(f"{type(error).__name__}: {error}")
            return
        for offers, kind, thing in found:
            offers.setdefault(thing.name, []).append((record.name, thing))
            record.provides.append(f"{kind}:{thing.name}")

    def _collect(self, plugin: object, hook: str, kind: type) -> list[tuple[Any, str, Any]]:
        """What this plugin's hook returns, checked, with the offers that it belongs to."""
        implementation: Callable[[], Any] | None = getattr(plugin, hook, None)
        things = [] if implementation is None else implementation()
        offers, word = {
            SourceDescriptor: (self.sources, "source"),
            Task: (self.tasks, "task"),
            TransferStrategy: (self.strategies, "strategy"),
        }[kind]
        for thing in things:
            if not _fits(thing, kind):
                raise TypeError(f"{hook} returned {thing!r}, which is not a {kind.__name__}")
            if not isinstance(getattr(thing, "name", None), str):
                raise TypeError(f"{hook} returned {thing!r}, which has no name")
            _check_complete(thing, kind)
        return [(offers, word, thing) for thing in things]

    def task(self, name: str) -> type[Task]:
        return self.tasks.one("task", name)

    def strategy(self, name: str) -> type[TransferStrategy]:
        return self.strategies.one("strategy", name)

    def owner(self, offers: "Offers[Any]", name: str) -> PluginRecord:
        """The record of the plugin that offers `name`."""
        plugin = offers[name][0][0]
        return next(record for record in self.records if record.name == plugin)

    def open_source(self, reference: str) -> SourceModel:
        """The source model that one plugin opens for this reference."""
        if reference in self.sources:
            self.sources.one("source model", reference)
        claims = self._claims(reference)
        if len(claims) > 1:
            kinds = " or ".join(sorted(type(claim).__module__.split(".")[0] for claim in claims))
            raise InvalidInputError(
                f"More than one plugin can open '{reference}' ({kinds}). "
                "Say which with a prefix, such as hf:… or onnx:…."
            )
        if not claims:
            if reference in self.sources:
                offering = self.owner(self.sources, reference).name
                raise RegraftError(
                    f"The plugin '{offering}' offers '{reference}' but opens it not."
                )
            raise UnknownNameError("source model", reference, self.sources)
        return claims[0]

    def _claims(self, reference: str) -> list[SourceModel]:
        """What the plugins open; the first refusal is raised if that is nothing."""
        found: list[SourceModel] = []
        refusals: list[RegraftError] = []
        for implementation in self.manager.hook.open_source_model.get_hookimpls():
            given = dict.fromkeys(implementation.argnames, reference)
            try:
                source: Any = implementation.function(**given)
            except RegraftError as error:
                refusals.append(error)
            except Exception:  # a plugin may raise anything
                # The plugin stays what it is to others: it is this reference that it cannot open.
                plugin = self._record(implementation.plugin_name).name
                log.exception("plugin %s cannot open '%s'", plugin, reference)
                reason = f"The plugin '{plugin}' could not open '{reference[:60]}': its own error."
                refusals.append(RegraftError(reason))
            else:
                opened = self.open_source(source) if isinstance(source, str) else source
                found += [] if opened is None else [opened]
        if refusals and not found:
            raise refusals[0]
        return found

    def _record(self, registered: str) -> PluginRecord:
        """The record of a plugin by the name under which it is registered."""
        return next(r for r in self.records if f"{r.distribution}:{r.name}" == registered)

    def dataset_path(self, uri: str) -> str:
        """The local file that a data reference stands for; itself unless a plugin knows better."""
        found: str | None = self.manager.hook.open_dataset(uri=uri)
        return found or uri

    def notify(self, hook: str, adaptation: Adaptation, event: Event | None = None) -> None:
        """Tell the observers; what they raise is logged and goes no further."""
        arguments = {"adaptation": adaptation} | ({} if event is None else {"event": event})
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            chosen = {name: arguments[name] for name in implementation.argnames}
            try:
                implementation.function(**chosen)
            except Exception:  # an observer may raise anything
                log.exception("observer %s of %s failed", hook, implementation.plugin_name)


def _allowed() -> list[EntryPoint]:
    """The entry points of the packages that the settings allow; others are not imported."""
    listed = Settings().plugins
    allowed = None if listed is None else {_plain(name) for name in listed.split(",")}
    return [
        point
        for point in entry_points(group=hookspecs.PROJECT)
        if allowed is None or _plain(point.dist.name if point.dist else "") in allowed | {OURS}
    ]


def _plain(name: str) -> str:
    """The name of a package as pip compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _fits(thing: object, kind: type) -> bool:
    """Whether it is a descriptor; of tasks and strategies the class is wanted, not an instance."""
    if kind is SourceDescriptor:
        return isinstance(thing, kind)
    return isinstance(thing, type) and issubclass(thing, kind)


def _check_complete(thing: Any, kind: type) -> None:
    """TypeError if a class lacks what the catalogue shows or cannot be made an instance of."""
    for attribute in COMPLETE[kind]:
        if not getattr(thing, attribute, None):
            raise TypeError(f"{kind.__name__} '{thing.name}' has no {attribute}")
    missing = sorted(getattr(thing, "__abstractmethods__", ()))
    if missing:
        raise TypeError(f"{kind.__name__} '{thing.name}' does not implement {', '.join(missing)}")
    if kind is TransferStrategy:
        thing.Options.model_json_schema()
