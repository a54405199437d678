"""Keras models as source models, and what is never opened."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft.testing import check_source_model
from regraft_keras.files import LARGEST, check_file


@pytest.fixture(scope="module")
def model() -> Any:
    """A small network of colour images, with a classifier at its end."""
    from regraft_keras.layers import keras

    keras.utils.set_random_seed(2)
    layers = [
        keras.Input((32, 32, 3)),
        keras.layers.Conv2D(6, 3, activation=None, name="first"),
        keras.layers.Activation("relu", name="active"),
        keras.layers.MaxPooling2D(name="smaller"),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(8, activation="relu", name="hidden"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(4, activation="softmax"),
    ]
    return keras.Sequential(layers)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_file_is_opened_and_passes_the_kit(
    model: Any, suffix: str, tmp_path: Path, plugins: Plugins
) -> None:
    path = tmp_path / f"model{suffix}"
    model.save(path)
    source = plugins.open_source(f"{path}?mean=0&deviation=255")
    names = [feature.name for feature in source.features]
    assert names == ["hidden", "smaller", "active", "smaller-map", "active-map"]
    check_source_model(source)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    module = source.module(source.features[0])
    assert module is not None
    with torch.no_grad():
        found = module.eval()(torch.from_numpy(pixels)).numpy()
    from regraft_keras.layers import keras

    hidden = keras.Model(model.inputs, model.get_layer("hidden").output)
    np.testing.assert_allclose(found, hidden.predict(pixels / 255, verbose=0), atol=1e-5)


def test_its_parameters_can_be_trained(model: Any, tmp_path: Path, plugins: Plugins) -> None:
    path = tmp_path / "model.keras"
    model.save(path)
    module = plugins.open_source(str(path)).module(plugins.open_source(str(path)).features[0])
    assert module is not None
    module(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)).sum().backward()
    learning = [p for p in module.parameters() if p.requires_grad and p.grad is not None]
    assert len(learning) >= 4


def test_untrained_one_has_the_same_layers_and_other_weights(
    plugins: Plugins,
) -> None:
    trained = plugins.open_source("fer-emotion")
    random = plugins.open_source("fer-emotion?init=random")
    assert random.features == trained.features
    assert random.fingerprint() != trained.fingerprint()
    pixels = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    found = []
    for source in (trained, random, random):
        module = source.module(source.features[0])
        assert module is not None
        with torch.no_grad():
            found.append(module.eval()(pixels))
    assert torch.equal(found[1], found[2])
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Lambda", "module": "keras.layers", "config": {}},
        {"class_name": "Net", "module": "somebody.package", "config": {}},
        {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}},
        {"class_name": "TFSMLayer", "module": "keras.layers", "config": {}},
    ],
)
def test_layer_that_would_run_code_is_never_opened(
    layer: dict[str, Any], tmp_path: Path, plugins: Plugins
) -> None:
    import h5py

    config = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", config)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["model_config"] = config
    for name in ("a.keras", "a.h5"):
        with pytest.raises(InvalidInputError, match="run code of its own: it is not opened"):
            plugins.open_source(str(tmp_path / name))


@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a.hdf5"])
def test_file_without_an_architecture_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(InvalidInputError, match="no Keras model with its architecture"):
        check_file(tmp_path / name)


@pytest.mark.parametrize(
    "config", [b"[" * 100_000 + b"]" * 100_000, b" " * (LARGEST + 1)], ids=["deep", "large"]
)
def test_architecture_beyond_any_is_refused(config: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
    with pytest.raises(InvalidInputError, match="no Keras model with its architecture"):
        check_file(tmp_path / "a.keras")


def test_missing_file_and_folder_are_told(plugins: Plugins, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is no file"):
        plugins.open_source(f"keras:{tmp_path}/none.keras")
    with pytest.raises(InvalidInputError, match=r"no SavedModel: no saved_model\.pb"):
        plugins.open_source(f"tensorflow:{tmp_path}")


def test_missing_extra_is_named(plugins: Plugins, tmp_path: Path) -> None:
    from importlib.util import find_spec

    if find_spec("tensorflow") is not None:
        pytest.skip("TensorFlow is installed here")
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(InvalidInputError, match=r"needs tensorflow.*regraft\[tensorflow\]"):
        plugins.open_source(str(tmp_path))


def branching(top: bool) -> Any:
    """Two sums, then a convolution that is activated, as MobileNetV2 and EfficientNet end."""
    from regraft_keras.layers import keras

    image = keras.Input((16, 16, 3))
    state = keras.layers.Conv2D(4, 3, padding="same")(image)
    for number in (1, 2):
        more = keras.layers.Conv2D(4, 3, padding="same")(state)
        state = keras.layers.Add(name=f"sum-{number}")([state, more])
    state = keras.layers.ReLU(name="last")(keras.layers.Conv2D(12, 1)(state))
    if top:
        pooled = keras.layers.Dropout(0.1)(keras.layers.GlobalAveragePooling2D()(state))
        state = keras.layers.Dense(3, activation="softmax")(pooled)
    return keras.Model(image, state)


@pytest.mark.parametrize("top", [True, False])
def test_what_the_classifier_is_given_is_an_end_too(top: bool) -> None:
    from regraft_keras.layers import ends

    assert ends(branching(top)) == {
        "last": (None, 16, 16, 12),
        "sum-2": (None, 16, 16, 4),
        "sum-1": (None, 16, 16, 4),
    }
