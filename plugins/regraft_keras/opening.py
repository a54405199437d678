"""From a reference to a source model, or to the ONNX file that stands for it."""

from importlib.util import find_spec
from pathlib import Path

from regraft import (
    InvalidInputError,
    PixelOptions,
    Reference,
    SourceModel,
    SourceOptions,
    TrainablePixelOptions,
)
from regraft.package_file import hash_file
from regraft_keras.catalogue import Entry
from regraft_keras.conversion import converted
from regraft_keras.files import check_file, is_saved_model
from regraft_keras.image import KerasImage


def open_entry(reference: str, entry: Entry, parsed: Reference) -> SourceModel:
    random = parsed.read(SourceOptions).untrained
    described = {"licence": entry.descriptor.licence, "origin": entry.descriptor.origin}
    return _opened(
        reference, entry.file.checked(entry.descriptor.name), entry.pixels, random, described
    )


def open_keras(reference: str, parsed: Reference) -> SourceModel:
    path = Path(parsed.target).expanduser()
    if not path.is_file():
        raise InvalidInputError(f"'{reference}': there is no file {path}.")
    options = parsed.read(TrainablePixelOptions)
    described = {"licence": "see where it comes from", "origin": str(path)}
    return _opened(reference, path, options, options.untrained, described)


def _opened(
    reference: str, path: Path, pixels: PixelOptions, random: bool, described: dict[str, str]
) -> SourceModel:
    _check_installed(reference, "keras", "keras", "h5py")
    check_file(path)
    digest = hash_file(path)
    return KerasImage(reference, path, digest, pixels, random, described)


def open_tensorflow(reference: str, parsed: Reference) -> str:
    """The reference of the SavedModel's signature as ONNX, which is converted once."""
    folder = Path(parsed.target).expanduser()
    if not is_saved_model(str(folder)):
        raise InvalidInputError(f"'{reference}': {folder} is no SavedModel: no saved_model.pb.")
    _check_installed(reference, "tensorflow", "tensorflow", "tf2onnx")
    part = "" if parsed.part is None else f"#{parsed.part}"
    options = "&".join(f"{name}={value}" for name, value in parsed.options.items())
    return f"onnx:{converted(folder)}{part}" + (f"?{options}" if options else "")


def _check_installed(reference: str, extra: str, *packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise InvalidInputError(
            f"'{reference}' needs {' and '.join(missing)}: pip install 'regraft[{extra}]'"
        )
