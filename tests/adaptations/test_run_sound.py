"""An adaptation of a model of sound: the layer is chosen, and all layers come from one pass."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from regraft.adaptations.queries import show_version
from regraft.adaptations.run import run
from regraft.features import FeatureCache
from regraft.plugins import Plugins
from regraft.registry.endpoint_table import Route
from regraft.serving.predictor import Opener
from regraft.serving.sessions import Runtime

ASKED = {"task": "audio-classification", "source": "whisper-tiny-en", "split": (0.6, 0.2, 0.2)}


def test_a_folder_of_sounds_becomes_an_endpoint(
    submit: Any, sweeps: Path, plugins: Plugins
) -> None:
    context = submit(name="sweeps", data=str(sweeps), precision="fp32", **ASKED)
    result = run(context).result
    assert result is not None
    assert result["metrics"]["accuracy"] >= 0.8
    assert result["parity"]["argmax_agreement"] == 1
    assert result["parity"]["max_abs_diff"] <= 1e-3

    registry = context.registry
    choice = show_version(registry, "sweeps", 1)["report"]["choice"]
    assert len(choice["losses"]) == result["candidates"] == 10
    assert choice["feature"] == min(choice["losses"], key=choice["losses"].__getitem__)
    cached = list(FeatureCache(registry.home.features).directory.glob("*.npy"))
    assert len(cached) == 10 + 2  # the training part by every candidate, the others by one

    version = registry.models.version("sweeps", 1)
    predictor = Opener(registry.blobs, plugins, Runtime()).open(
        Route("sweeps", 1, version.manifest.sha256)
    )
    content = next((sweeps / "rising").glob("*.wav")).read_bytes()
    one, two = (predictor.predict(rows)["probabilities"] for rows in ([content], [content] * 3))
    np.testing.assert_allclose(two, np.repeat(one, 3, 0), atol=1e-5)
    values, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    assert predictor.predict([values])["probabilities"].shape == (1, 2)


def test_named_layer_is_the_same_blob_as_the_chosen_one(submit: Any, sweeps: Path) -> None:
    first = submit(name="one", data=str(sweeps), **ASKED)
    chosen = run(first).result
    assert chosen is not None
    second = submit(name="two", data=str(sweeps), options={"feature": chosen["feature"]}, **ASKED)
    named = run(second).result
    assert named is not None
    assert named["candidates"] == 1
    one, two = (show_version(first.registry, name, None)["blobs"] for name in ("one", "two"))
    assert one == two
