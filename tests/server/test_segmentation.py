"""Image segmentation on a server: images and masks are sent, a mask comes back."""

import base64
import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from regraft.domain import AdaptationSpec
from tests.server.conftest import Server

pytestmark = pytest.mark.ray


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


def test_masks_train_a_decoder_and_a_mask_is_answered(server: Server, drawings: Path) -> None:
    spec = AdaptationSpec(
        force=True,
        name="squares",
        data=str(drawings),
        task="image-segmentation",
        source="efficientnet-lite0",
        strategy="full",
        options={"epochs": 3, "learning_rate": 1e-3, "feature": "map-28", "least_steps": 0},
        split=(0.6, 0.2, 0.2),
    )
    with server.client() as client:
        result = client.adapt(spec, False, lambda kind, data: None)
        answer = client.predict("squares", [(drawings.parent / "0.png").read_bytes()])
    assert result["parity"]["argmax_agreement"] == 1
    assert result["metrics"]["pixel_accuracy"] > 0.8
    (found,) = answer["predictions"]
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["mask"]))))
    assert mask.shape == (224, 224)
    assert set(np.unique(mask)) <= {0, 5}
    assert found["shares"]["0"] == pytest.approx(float((mask == 0).mean()))
