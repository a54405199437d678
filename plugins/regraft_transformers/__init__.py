"""Source models of Hugging Face Transformers: a catalogue name, a local folder or a hub name."""

from regraft import SourceDescriptor, SourceModel, hookimpl
from regraft_transformers.catalogue import CATALOGUE
from regraft_transformers.reference import locate


@hookimpl
def register_source_models() -> list[SourceDescriptor]:
    return [entry.descriptor for entry in CATALOGUE.values()]


@hookimpl
def open_source_model(reference: str) -> SourceModel | None:
    from regraft_transformers.opening import open_folder

    found = locate(reference)
    return None if found is None else open_folder(reference, *found)
