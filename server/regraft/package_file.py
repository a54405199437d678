"""A file of an installed package, such as weights: found without an import, checked by its hash."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from regraft.errors import InvalidInputError


def hash_file(path: Path) -> str:
    """SHA-256, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_in_package(package: str, path: str) -> Path | None:
    """A file or folder of an installed package; None if the package is not there or lacks it."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    found = Path(places[0]) / path if places else None
    return found if found is not None and found.exists() else None


@dataclass(frozen=True)
class PackageFile:
    """A file and what it must hash to; `install` is for pip, `code` a package that it needs too."""

    package: str
    file: str
    sha256: str
    install: str
    code: str | None = None

    def path(self, name: str) -> Path:
        """The file; InvalidInputError tells what to install to have the source model `name`."""
        found = find_in_package(self.package, self.file)
        if found is None or (self.code is not None and find_spec(self.code) is None):
            raise InvalidInputError(
                f"Source model '{name}' is not installed: pip install {self.install}"
            )
        return found

    def checked(self, name: str) -> Path:
        """The file, if it hashes to what is expected; InvalidInputError otherwise."""
        path = self.path(name)
        found = hash_file(path)
        if found != self.sha256:
            raise InvalidInputError(f"{path} is damaged or another version: it hashes to {found}.")
        return path
