"""Tables: a task, and source models for it."""

from regraft import Reference, SourceDescriptor, SourceModel, Task, hookimpl
from regraft_tabular.classification import TabularClassification
from regraft_tabular.descriptor import PLAIN


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [TabularClassification]


@hookimpl
def register_source_models() -> list[SourceDescriptor]:
    return [PLAIN]


@hookimpl
def open_source_model(reference: str) -> SourceModel | None:
    from regraft_tabular.pretrained import open_related
    from regraft_tabular.source import PlainTable

    parsed = Reference.parse(reference)
    if parsed.kind == "table":
        return open_related(reference, parsed)
    if parsed.kind is None and parsed.target == PLAIN.name and not parsed.options:
        return PlainTable()
    return None
