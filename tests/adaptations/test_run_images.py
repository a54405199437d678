"""An adaptation of an image model, from a folder to answers without torch."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regraft.adaptations.run import run
from regraft.plugins import Plugins
from regraft.registry.endpoint_table import Route
from regraft.serving.predictor import Opener
from regraft.serving.sessions import Runtime

ANSWERS_WITHOUT_TORCH = """
import sys; from pathlib import Path
from regraft.registry.endpoint_table import *; from regraft.registry.home import Home
from regraft.serving.pool import new_pool; from regraft.serving.sessions import Runtime
home = Home(Path(sys.argv[1])); table = EndpointTable.read(home.tables, revisions(home.tables)[-1])
predictor = new_pool(home, Runtime())._open(table.routes[-1])
print(predictor.predict([Path(sys.argv[2]).read_bytes()])['label'][0].decode())
assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)
"""


def test_a_folder_of_images_becomes_an_endpoint(
    submit: Any, shapes: Path, plugins: Plugins, tmp_path: Path
) -> None:
    asked = {"name": "shapes", "data": str(shapes), "source": "efficientnet-lite0"}
    context = submit(**asked, task="image-classification", split=(0.6, 0.2, 0.2))
    result = run(context).result
    assert result is not None
    assert result["metrics"]["accuracy"] == 1
    assert result["parity"]["argmax_agreement"] == 1
    assert result["parity"]["max_abs_diff"] <= 1e-3

    registry = context.registry
    version = registry.models.version("shapes", 1)
    opener = Opener(registry.blobs, plugins, Runtime())
    predictor = opener.open(Route("shapes", 1, version.manifest.sha256))
    picture = next((shapes / "disc").iterdir()).read_bytes()
    raw = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    answers = [predictor.predict(rows)["probabilities"] for rows in ([picture], [raw])]
    assert np.array_equal(*answers)

    (tmp_path / "disc.png").write_bytes(picture)
    command = [sys.executable, "-c", ANSWERS_WITHOUT_TORCH, registry.home.root]
    done = subprocess.run([*command, tmp_path / "disc.png"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "disc\n"), done.stderr
