"""Source models of Keras and TensorFlow; the packages are the extras `keras` and `tensorflow`."""

from regraft import Reference, SourceDescriptor, SourceModel, hookimpl
from regraft_keras.catalogue import CATALOGUE
from regraft_keras.files import is_keras_file, is_saved_model


@hookimpl
def register_source_models() -> list[SourceDescriptor]:
    return [entry.descriptor for entry in CATALOGUE.values()]


@hookimpl
def open_source_model(reference: str) -> SourceModel | str | None:
    parsed = Reference.parse(reference)
    known = parsed.kind is None and parsed.target in CATALOGUE
    if not (known or parsed.kind in ("keras", "tensorflow") or parsed.kind is None):
        return None
    from regraft_keras.opening import open_entry, open_keras, open_tensorflow

    if known:
        return open_entry(reference, CATALOGUE[parsed.target], parsed)
    if parsed.kind == "keras" or (parsed.kind is None and is_keras_file(parsed.target)):
        return open_keras(reference, parsed)
    if parsed.kind == "tensorflow" or (parsed.kind is None and is_saved_model(parsed.target)):
        return open_tensorflow(reference, parsed)
    return None
