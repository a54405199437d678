"""Source models of Keras and of ONNX on a server: adapted, published and asked, without either."""

from pathlib import Path

import pytest

from benchmarks.processes import replicas
from regraft.domain import AdaptationSpec
from regraft.export.frozen import frozen_backbone
from regraft.plugins import Plugins
from regraft.registry.home import Home
from tests.server.conftest import Server

pytestmark = pytest.mark.ray
HEAVY = ("libtorch", "h5py", "tensorflow", "optree")
"""Parts of the paths of libraries that Keras, its torch backend and TensorFlow load."""


@pytest.fixture(scope="module")
def graph(exported: Home, plugins: Plugins, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file that knows nothing of regraft's: EfficientNet's own, up to its pooling."""
    source = plugins.open_source("efficientnet-lite0")
    blob = frozen_backbone(source, source.features[0], exported).blob
    path = tmp_path_factory.mktemp("onnx") / "efficientnet.onnx"
    path.write_bytes(exported.blobs.read(blob.sha256))
    return path


@pytest.mark.parametrize("kind", ["keras", "onnx"])
def test_feature_transfer_from_another_framework_is_served(
    kind: str, server: Server, shapes: Path, graph: Path
) -> None:
    source = "fer-emotion" if kind == "keras" else f"onnx:{graph}"
    spec = AdaptationSpec(
        force=True,
        name=f"from-{kind}",
        data=str(shapes),
        task="image-classification",
        source=source,
        split=(0.6, 0.2, 0.2),
    )
    pictures = [next((shapes / label).iterdir()).read_bytes() for label in ("bar", "disc")]
    with server.client() as client:
        result = client.adapt(spec, False, lambda kind, data: None)
        answer = client.predict(spec.name, pictures)
        described = client.source(source)
    assert result["metrics"]["accuracy"] >= 0.8
    assert result["parity"]["argmax_agreement"] == 1
    assert [row["label"] for row in answer["predictions"]] == ["bar", "disc"]
    assert described["trainable"] == (kind == "keras")
    for replica in replicas(server.home.root):
        loaded = " ".join(region.path for region in replica.memory_maps())
        assert not [name for name in HEAVY if name in loaded]
