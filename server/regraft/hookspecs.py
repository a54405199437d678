"""The hooks: all that a plugin can offer, on one page. None is called on the request path."""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from regraft.contract import SourceDescriptor, SourceModel, Task, TransferStrategy
    from regraft.domain import Adaptation, Event

PROJECT = "regraft"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_source_models() -> "list[SourceDescriptor]":  # type: ignore[empty-body]
    """Rows of the catalogue; each name can then be opened by `open_source_model`."""


@hookspec(firstresult=False)
def open_source_model(reference: str) -> "SourceModel | str | None":
    """Open a catalogue name, a path or `KIND:REF`; None when it is not yours. Text is another
    reference that is opened instead, such as that of a file into which this one was converted."""


@hookspec
def register_tasks() -> "list[type[Task]]":  # type: ignore[empty-body]
    """Task classes."""


@hookspec
def register_strategies() -> "list[type[TransferStrategy]]":  # type: ignore[empty-body]
    """Transfer strategies, as classes: an instance holds the state of one job."""


@hookspec(firstresult=True)
def open_dataset(uri: str) -> "str | None":
    """The path of a local CSV, TSV, JSONL or Parquet file for this URI; the first answer wins."""


@hookspec
def adaptation_started(adaptation: "Adaptation") -> None:
    """An adaptation begins to run."""


@hookspec
def adaptation_reported(adaptation: "Adaptation", event: "Event") -> None:
    """An adaptation made progress."""


@hookspec
def adaptation_finished(adaptation: "Adaptation") -> None:
    """An adaptation reached a final state; called exactly once."""
