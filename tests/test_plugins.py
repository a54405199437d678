"""Plugins: found, refused with a reason, looked up, told of what happens."""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from regraft import SourceDescriptor, SourceModel, Task, TransferStrategy, hookimpl, hookspecs
from regraft.domain import Adaptation, AdaptationSpec, Event, State
from regraft.errors import ConflictError, InvalidInputError, RegraftError, UnknownNameError
from regraft.plugins import Plugins

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = AdaptationSpec(name="model", data="data.csv", source="any")
ADAPTATION = Adaptation("a-1", SPEC, State.RUNNING, NOW)
EVENT = Event(1, NOW, "stage", {})
HOOKS = {name for name, hook in vars(hookspecs).items() if hasattr(hook, "regraft_spec")}


class Source(SourceModel):
    """Opened, and nothing more."""

    def fingerprint(self) -> str:
        return "0" * 64


def described(name: str) -> SourceDescriptor:
    return SourceDescriptor(name, "text", "MIT", "here", "A source model")


class Offering:
    """A plugin that offers these names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @hookimpl
    def register_source_models(self) -> list[SourceDescriptor]:
        return [described(name) for name in self.names]

    @hookimpl
    def open_source_model(self, reference: str) -> SourceModel | None:
        return Source() if reference in self.names else None


class Recorder:
    """A plugin that implements every hook and notes each call."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @hookimpl
    def register_source_models(self) -> list[Any]:
        self.calls.append("register_source_models")
        return []

    @hookimpl
    def register_tasks(self) -> list[Any]:
        self.calls.append("register_tasks")
        return []

    @hookimpl
    def register_strategies(self) -> list[Any]:
        self.calls.append("register_strategies")
        return []

    @hookimpl
    def open_source_model(self, reference: str) -> SourceModel | None:
        self.calls.append("open_source_model")
        return Source()

    @hookimpl
    def open_dataset(self, uri: str) -> str | None:
        self.calls.append("open_dataset")
        return "/local.csv" if uri == "mine:data" else None

    @hookimpl
    def adaptation_started(self) -> None:
        self.calls.append("adaptation_started")

    @hookimpl
    def adaptation_reported(self, event: Event) -> None:
        self.calls.append(f"adaptation_reported {event.number}")

    @hookimpl
    def adaptation_finished(self, adaptation: Adaptation) -> None:
        self.calls.append(f"adaptation_finished {adaptation.id}")


def loaded(*plugins: tuple[str, object]) -> Plugins:
    made = Plugins()
    for name, plugin in plugins:
        made.add(plugin, name)
    return made


def entry_point(folder: Path, code: str, value: str = "a_plugin") -> EntryPoint:
    (folder / f"{value.partition(':')[0]}.py").write_text(code)
    return EntryPoint(name="third-party", value=value, group="regraft")


def test_every_hook_says_what_it_is_for() -> None:
    assert len(HOOKS) == 8
    assert [name for name in HOOKS if not getattr(hookspecs, name).__doc__] == []


def test_every_hook_is_called_with_the_arguments_that_it_names() -> None:
    recorder = Recorder()
    plugins = loaded(("recorder", recorder))
    plugins.open_source("anything")
    plugins.dataset_path("mine:data")
    plugins.notify("adaptation_started", ADAPTATION)
    plugins.notify("adaptation_reported", ADAPTATION, EVENT)
    plugins.notify("adaptation_finished", ADAPTATION)
    assert {call.split()[0] for call in recorder.calls} == HOOKS
    assert recorder.calls[-2:] == ["adaptation_reported 1", "adaptation_finished a-1"]


def test_first_party_plugins_are_loaded_from_their_entry_points(plugins: Plugins) -> None:
    states = {record.name: record.state for record in plugins.records}
    assert {"text", "transformers", "transfer"} <= set(states)
    assert set(states.values()) == {"LOADED"}
    (record,) = [record for record in plugins.records if record.name == "text"]
    assert record.distribution == "regraft"
    assert "task:text-classification" in record.provides


def test_only_the_wanted_entry_points_are_loaded() -> None:
    assert [record.name for record in Plugins.load(["text"]).records] == ["text"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: .*no_such_module"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("def register_tasks(): 1 / 0", "ZeroDivisionError"),
        ("def register_tasks(): return [3]", "register_tasks returned 3, which is not a Task"),
        (
            "from regraft import Task\ndef register_tasks(): return [Task]",
            "which has no name",
        ),
        (
            "from regraft import hookimpl\n@hookimpl\ndef register_taks(): return []",
            "unknown hook 'register_taks'",
        ),
        (
            "from regraft import hookimpl\n@hookimpl\ndef open_dataset(url): return None",
            "open_dataset.*url",
        ),
    ],
)
def test_broken_plugin_is_listed_with_its_reason_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plugins = loaded(("sound", Offering("one")))
    plugins.add_entry_point(entry_point(tmp_path, code, f"broken_{abs(hash(code))}"))
    record = plugins.records[-1]
    assert (record.name, record.state) == ("third-party", "FAILED")
    assert re.search(reason, str(record.reason), re.DOTALL)
    assert record.as_dict()["provides"] == []
    assert isinstance(plugins.open_source("one"), Source)


def test_failed_plugin_offers_nothing_of_what_it_registered_before() -> None:
    class Half(Offering):
        @hookimpl
        def register_tasks(self) -> list[Any]:
            raise RuntimeError("half way")

    plugins = loaded(("half", Half("two")))
    assert plugins.records[0].reason == "RuntimeError: half way"
    with pytest.raises(UnknownNameError):
        plugins.open_source("two")


def test_entry_point_may_name_an_object_in_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "from regraft import SourceDescriptor\nclass Plugin:\n  @staticmethod\n  def "
    code += "register_source_models(): return [SourceDescriptor('x', 'text', '', '', '')]"
    plugins = Plugins()
    plugins.add_entry_point(entry_point(tmp_path, code, "module_with_object:Plugin"))
    assert plugins.records[0].provides == ["source:x"]


def test_one_module_behind_two_entry_points_stays_loaded_once() -> None:
    plugin = Offering("one")
    plugins = loaded(("first", plugin), ("second", plugin))
    assert [record.state for record in plugins.records] == ["LOADED", "FAILED"]
    assert "the same as the plugin 'local:first'" in str(plugins.records[1].reason)
    assert isinstance(plugins.open_source("one"), Source)


def test_instance_where_a_class_is_wanted_is_refused(plugins: Plugins) -> None:
    class Instances:
        @hookimpl
        def register_strategies(self) -> list[Any]:
            kind = plugins.strategy("linear-probe")
            return [kind(kind.Options(), 0)]

    assert "not a TransferStrategy" in str(loaded(("wrong", Instances())).records[0].reason)


def test_name_that_two_plugins_offer_is_an_error_that_names_both() -> None:
    plugins = loaded(("ours", Offering("one", "two")), ("theirs", Offering("one")))
    with pytest.raises(ConflictError, match=r"'ours' and 'theirs' both offer .* 'one'"):
        plugins.open_source("one")
    assert isinstance(plugins.open_source("two"), Source)


def test_reference_that_two_plugins_claim_asks_for_a_prefix() -> None:
    class Greedy(Offering):
        @hookimpl
        def open_source_model(self, reference: str) -> SourceModel | None:
            return Source()

    plugins = loaded(("one", Greedy()), ("two", Greedy()))
    with pytest.raises(InvalidInputError, match=r"can open '\./folder'.*prefix"):
        plugins.open_source("./folder")


@pytest.mark.parametrize("kind", ["task", "strategy"])
def test_unknown_name_lists_the_known_ones_with_a_hint(plugins: Plugins, kind: str) -> None:
    name = {"task": "text-classifcation", "strategy": "linear-prob"}[kind]
    right = {"task": "text-classification", "strategy": "linear-probe"}[kind]
    with pytest.raises(UnknownNameError, match=f"Unknown {kind} '{name}'. Did you mean '{right}'"):
        getattr(plugins, kind)(name)


def test_unknown_source_model_lists_the_catalogue(plugins: Plugins) -> None:
    with pytest.raises(UnknownNameError, match=r"Known: .*minilm-l6"):
        plugins.open_source("word2vec")


def test_observer_that_raises_is_logged_and_the_others_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Raising:
        @hookimpl
        def adaptation_started(self, adaptation: Adaptation) -> None:
            raise RuntimeError("observer")

    first, last = Recorder(), Recorder()
    plugins = loaded(("first", first), ("raising", Raising()), ("last", last))
    with caplog.at_level(logging.ERROR):
        plugins.notify("adaptation_started", ADAPTATION)
    assert first.calls[-1] == last.calls[-1] == "adaptation_started"
    assert "local:raising" in caplog.text


def test_data_reference_that_no_plugin_knows_is_a_path() -> None:
    plugins = loaded(("recorder", Recorder()))
    assert plugins.dataset_path("mine:data") == "/local.csv"
    assert plugins.dataset_path("data.csv") == "data.csv"


@pytest.mark.parametrize(
    ("hook", "body", "reason"),
    [
        ("strategies", "kind = 'feature'", "TransferStrategy 'x' has no summary"),
        ("strategies", "summary = 'X'", "TransferStrategy 'x' has no kind"),
        (
            "strategies",
            "summary, kind, Options = 'X', 'feature', Odd",
            "PydanticInvalidForJsonSchema",
        ),
        ("tasks", "summary = 'X'", "Task 'x' has no modality"),
        (
            "tasks",
            "summary = modality = primary = form = inputs_type = columns = 'X'",
            "Task 'x' does not implement answers, decode",
        ),
    ],
)
def test_incomplete_class_is_refused_with_what_it_lacks(hook: str, body: str, reason: str) -> None:
    class Odd(BaseModel):
        call: Callable[[], None]

    kind = {"strategies": TransferStrategy, "tasks": Task}[hook]
    attributes: dict[str, Any] = {"name": "x"}
    exec(body, {"Odd": Odd}, attributes)
    made = type("X", (kind,), attributes)
    plugin = type("Plugin", (), {f"register_{hook}": hookimpl(lambda self: [made])})()
    plugins = loaded(("incomplete", plugin))
    assert plugins.records[0].state == "FAILED"
    assert reason in str(plugins.records[0].reason)
    assert not getattr(plugins, hook)


class Refusing:
    """A plugin that raises for every reference."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @hookimpl
    def open_source_model(self, reference: str) -> SourceModel | None:
        raise self.error


def test_plugin_that_breaks_at_a_reference_blocks_no_other_and_stays_what_it_was() -> None:
    plugins = loaded(("broken", Refusing(OSError("/secret"))), ("sound", Offering("one")))
    assert isinstance(plugins.open_source("one"), Source)
    with pytest.raises(RegraftError, match="'broken' could not open 'two': its own error") as told:
        plugins.open_source("two")
    assert "secret" not in str(told.value)
    assert [record.state for record in plugins.records] == ["LOADED", "LOADED"]


def test_only_plugins_of_listed_packages_are_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sideways.py").write_text("raise SystemExit('imported')\n")
    info = tmp_path / "Side_Ways-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Side_Ways\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[regraft]\nsideways = sideways\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("REGRAFT_PLUGINS", "another, third.party")
    plugins = Plugins.load()
    assert {record.distribution for record in plugins.records} == {"regraft"}
    with pytest.raises(UnknownNameError, match="Unknown plugin 'sideways'"):
        plugins.require("sideways")
    monkeypatch.setenv("REGRAFT_PLUGINS", "another, side.WAYS")
    with pytest.raises(SystemExit, match="imported"):
        Plugins.load()


def test_refusal_is_told_only_if_no_other_plugin_opens_the_reference() -> None:
    refusing = Refusing(InvalidInputError("not this one"))
    plugins = loaded(("refusing", refusing), ("sound", Offering("one")))
    assert isinstance(plugins.open_source("one"), Source)
    with pytest.raises(InvalidInputError, match="not this one"):
        plugins.open_source("two")
    assert {record.state for record in plugins.records} == {"LOADED"}


def test_catalogue_name_that_its_plugin_does_not_open_is_not_called_unknown() -> None:
    class Closed(Offering):
        @hookimpl
        def open_source_model(self, reference: str) -> SourceModel | None:
            return None

    with pytest.raises(RegraftError, match="The plugin 'closed' offers 'one' but"):
        loaded(("closed", Closed("one"))).open_source("one")
