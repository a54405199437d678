"""Source models that are plain PyTorch modules with weights of their own."""

from regraft import Reference, SourceDescriptor, SourceModel, hookimpl
from regraft_torch.catalogue import CATALOGUE


@hookimpl
def register_source_models() -> list[SourceDescriptor]:
    return [entry.descriptor for entry in CATALOGUE.values()]


@hookimpl
def open_source_model(reference: str) -> SourceModel | None:
    from regraft_torch.opening import open_entry, open_module

    parsed = Reference.parse(reference)
    if parsed.kind == "torch":
        return open_module(reference, parsed)
    if parsed.kind is None and parsed.target in CATALOGUE:
        return open_entry(reference, CATALOGUE[parsed.target], parsed)
    return None
