"""Adaptations of an image model, from files to answers."""

import base64
import csv
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

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


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """Twenty-four images of a square at random places, with their masks: generated data."""
    rng = np.random.default_rng(0)
    with (tmp_path / "drawings.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "mask"])
        for number in range(24):
            image, mask = Image.new("RGB", (80, 64), "white"), Image.new("L", (80, 64))
            left, top = (int(value) for value in rng.integers(0, 30, 2))
            for canvas, colour in ((image, "navy"), (mask, 5)):
                ImageDraw.Draw(canvas).rectangle((left, top, left + 30, top + 30), fill=colour)
            image.save(tmp_path / f"{number}.png")
            mask.save(tmp_path / f"{number}-mask.png")
            writer.writerow([f"{number}.png", f"{number}-mask.png"])
    return tmp_path / "drawings.csv"


@pytest.mark.usefixtures("without_ray")
def test_masks_train_a_decoder_and_a_mask_is_answered(
    submit: Any, drawings: Path, plugins: Plugins
) -> None:
    context = submit(
        name="squares",
        data=str(drawings),
        task="image-segmentation",
        source="efficientnet-lite0",
        strategy="full",
        options={"epochs": 3, "learning_rate": 1e-3, "feature": "map-28", "least_steps": 0},
        split=(0.6, 0.2, 0.2),
    )
    result = run(context).result
    assert result is not None
    assert result["parity"]["argmax_agreement"] == 1
    assert result["metrics"]["pixel_accuracy"] > 0.8
    registry = context.registry
    version = registry.models.version("squares", 1)
    opener = Opener(registry.blobs, plugins, Runtime())
    predictor = opener.open(Route("squares", 1, version.manifest.sha256))
    tensors = predictor.predict([(drawings.parent / "0.png").read_bytes()])
    (found,) = predictor.task.answers(tensors)
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["mask"]))))
    assert mask.shape == (224, 224)
    assert set(np.unique(mask)) <= {0, 5}
    assert found["shares"]["0"] == pytest.approx(float((mask == 0).mean()))
