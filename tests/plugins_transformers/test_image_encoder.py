"""Encoders of images: every kind passes the kit and says what Transformers says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from regraft.contract import SourceModel
from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft.testing import check_source_model
from regraft_image.pixels import pixels
from regraft_transformers.image import ImageEncoder

PATCHES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "embedding_size": 8}
KINDS: dict[str, dict[str, Any]] = {
    "vit": PATCHES,
    "deit": PATCHES,
    "dinov2": {**PATCHES, "mlp_ratio": 2},
    "resnet": {**STAGES, "layer_type": "basic"},
    "convnext": STAGES,
    "swin": {
        "embed_dim": 8,
        "depths": [1, 1, 1],
        "num_heads": [2, 2, 2],
        "window_size": 2,
        "image_size": 32,
        "patch_size": 4,
    },
}
PREPROCESSOR = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}


def saved(folder: Path, kind: str, changes: dict[str, Any]) -> Path:
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(5)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **changes))
    for name, parameter in model.named_parameters():
        if "position" in name or "cls_token" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


@pytest.fixture(params=sorted(KINDS))
def source(request: Any, tmp_path: Path, plugins: Plugins) -> SourceModel:
    return plugins.open_source(str(saved(tmp_path, request.param, KINDS[request.param])))


def test_every_kind_passes_the_kit_and_agrees_with_transformers(source: SourceModel) -> None:
    from transformers import AutoModel

    assert isinstance(source, ImageEncoder)
    check_source_model(source)
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    whole = source.features[-len(source.sizes)]
    with torch.no_grad():
        theirs = AutoModel.from_pretrained(source.folder).eval()
        scaled = (pixels.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
        expected = theirs(scaled).last_hidden_state
        found = source.module(source.feature("map", whole.name)).eval()(pixels)
        pooled = source.module(source.features[0]).eval()(pixels)
    if expected.ndim == 3 and source.tokens:
        assert torch.allclose(pooled, expected[:, 0], atol=1e-5)
        expected = expected[:, 1:] if source.checkpoint.kind != "deit" else expected[:, 2:]
    if expected.ndim == 3:
        assert found.flatten(2).shape[2] == expected.shape[1]
    else:
        assert torch.allclose(found, expected, atol=1e-5)


def test_pixels_are_prepared_as_the_folder_says(tmp_path: Path, plugins: Plugins) -> None:
    source = plugins.open_source(str(saved(tmp_path, "vit", PATCHES)))
    assert isinstance(source, ImageEncoder)
    assert (source.inputs.height, source.inputs.resize) == (32, 36)
    assert source.pixels.mean == (127.5,) * 3
    fingerprint = source.fingerprint()
    changed = {**PREPROCESSOR, "image_mean": [0.1, 0.2, 0.3], "do_center_crop": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(changed))
    other = plugins.open_source(str(tmp_path))
    assert isinstance(other, ImageEncoder)
    assert other.pixels.mean == pytest.approx((25.5, 51, 76.5))
    assert (other.inputs.height, other.inputs.resize) == (36, 36)
    assert other.fingerprint() != fingerprint


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ViT", {"size": {"height": 32, "width": 32}}),
        ("ViT", {"size": 32, "image_processor_type": "ViTImageProcessor"}),
        ("ConvNext", {"size": {"shortest_edge": 32}, "crop_pct": 0.875}),
        ("ConvNext", {"size": {"shortest_edge": 384}, "crop_pct": 0.875}),
    ],
)
def test_images_are_what_their_own_processor_makes_of_them(
    kind: str, said: dict[str, Any], tmp_path: Path, plugins: Plugins
) -> None:
    import transformers

    source = plugins.open_source(str(saved(tmp_path, "vit", PATCHES)))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    source = plugins.open_source(str(tmp_path))
    ramp = np.linspace(0, 255, 60)[:, None] * np.ones((60, 120))
    picture = np.stack([ramp, np.linspace(0, 255, 120) * np.ones((60, 1)), 255 - ramp], 2)
    image = picture.astype(np.uint8)
    ours = pixels(image, source.inputs).astype(float)
    processor = getattr(transformers, f"{kind}ImageProcessorPil")
    made = processor(size=said["size"], **{k: v for k, v in said.items() if k == "crop_pct"})
    theirs = made(Image.fromarray(image), do_rescale=False, do_normalize=False)["pixel_values"][0]
    assert ours.shape == (*theirs.shape[1:], 3)
    assert np.abs(ours - np.moveaxis(np.asarray(theirs, float), 0, 2)).mean() < 3


def test_without_a_word_on_pixels_they_are_scaled_as_is_usual(
    tmp_path: Path, plugins: Plugins
) -> None:
    for kind, mean in (("vit", 127.5), ("resnet", 123.675)):
        folder = saved(tmp_path / kind, kind, KINDS[kind])
        (folder / "preprocessor_config.json").unlink()
        source = plugins.open_source(str(folder))
        assert isinstance(source, ImageEncoder)
        assert source.pixels.mean[0] == pytest.approx(mean)


def test_early_layer_leaves_the_later_ones_out(tmp_path: Path, plugins: Plugins) -> None:
    source = plugins.open_source(str(saved(tmp_path, "vit", PATCHES)))
    assert [feature.name for feature in source.candidates("pooled")][:2] == [
        "layer-3-first",
        "layer-3-mean",
    ]
    counts = [
        sum(p.numel() for p in module.parameters())
        for name in ("layer-1-mean", "layer-3-mean")
        if (module := source.module(source.feature("pooled", name))) is not None
    ]
    assert counts[0] < counts[1]


def test_folder_without_sizes_is_refused(tmp_path: Path, plugins: Plugins) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    with pytest.raises(InvalidInputError, match="no hidden_sizes"):
        plugins.open_source(str(tmp_path))


@pytest.mark.parametrize("kind", ["vit_mae", "wavlm"])
def test_kind_that_cannot_be_used_is_told_beside_those_that_can(
    kind: str, tmp_path: Path, plugins: Plugins
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "hidden_size": 8}))
    with pytest.raises(InvalidInputError, match=rf"'{kind}' model.*of images vit.*whisper"):
        plugins.open_source(str(tmp_path))
