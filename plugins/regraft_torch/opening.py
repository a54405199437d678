"""From a reference to an opened source model."""

import importlib
import inspect
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regraft import (
    InvalidInputError,
    Reference,
    SourceModel,
    SourceOptions,
    TrainablePixelOptions,
)
from regraft_torch.catalogue import Entry
from regraft_torch.image import CatalogueImage, ModuleImage
from regraft_torch.speaker import SpeakerEncoder

if TYPE_CHECKING:
    from torch import nn

FORM = "torch:package.module:Class@weights.safetensors"


def open_entry(reference: str, entry: Entry, parsed: Reference) -> SourceModel:
    random = parsed.read(SourceOptions).untrained
    entry.weights.path(entry.name)
    if entry.pixels is None:
        return SpeakerEncoder(reference, entry, random)
    return CatalogueImage(reference, entry, entry.pixels, random)


def open_module(reference: str, parsed: Reference) -> SourceModel:
    """A class of an installed package, made without arguments, and its weights."""
    place, _, weights = parsed.target.partition("@")
    options = parsed.read(TrainablePixelOptions)
    if options.untrained:
        return ModuleImage(reference, find_class(place), None, options)
    path = Path(weights).expanduser()
    if not weights or not path.is_file():
        found = f"there is no file '{weights}'" if weights else "the weights are missing"
        raise InvalidInputError(f"'{reference}': {found}. Expected: {FORM}, or ?init=random.")
    return ModuleImage(reference, find_class(place), path, options)


def find_class(place: str) -> "type[nn.Module]":
    """The torch module class `package.module:Class` of an installed distribution; nothing else is
    imported, so that a reference cannot name any file."""
    name, mark, attribute = place.partition(":")
    if not mark or not name or not attribute.isidentifier():
        raise InvalidInputError(f"'{place}' names no class. Expected: {FORM}.")
    if "__main__" in name.split("."):
        raise InvalidInputError(f"'{place}': a __main__ module is a program, not a model.")
    if name.split(".")[0] not in packages_distributions():
        raise InvalidInputError(
            f"'{name.split('.')[0]}' is no package that is installed here: pip install it first."
        )
    try:
        found: Any = getattr(importlib.import_module(name), attribute)
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise InvalidInputError(f"'{place}' cannot be imported: {reason}.") from error
    from torch import nn

    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        raise InvalidInputError(f"'{place}' is no subclass of torch.nn.Module.")
    return found
