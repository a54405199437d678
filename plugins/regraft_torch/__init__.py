"""Source models that are plain PyTorch modules with weights of their own."""

from regraft import SourceDescriptor, SourceModel, hookimpl
from regraft_torch.catalogue import CATALOGUE, RANDOM


@hookimpl
def register_source_models() -> list[SourceDescriptor]:
    return [entry.descriptor for entry in CATALOGUE.values()]


@hookimpl
def open_source_model(reference: str) -> SourceModel | None:
    from regraft_torch.image import ImageModule

    entry = CATALOGUE.get(reference.removesuffix(RANDOM))
    if entry is None:
        return None
    return ImageModule(reference, entry, entry.weights_path(), reference.endswith(RANDOM))
