"""Masks as labels, and what is told of pixels."""

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from regraft.contract import Feature, ImageInputs, TensorSpec
from regraft.data.load import load_dataset
from regraft.domain import AdaptationSpec
from regraft.errors import DataError
from regraft.settings import Settings
from regraft_image.baseline import PixelColours
from regraft_image.masks import mask_problem
from regraft_image.segmentation import ImageSegmentation, overlap

INPUTS = ImageInputs((TensorSpec("pixels", "UINT8", ("batch", 32, 32, 3)),), 32, 32, 32)


def png(values: Any, mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).convert(mode).save(file, "PNG")
    return file.getvalue()


def label(values: Any) -> str:
    return base64.b64encode(png(values)).decode()


def halves(left: int, right: int, height: int = 32, width: int = 32) -> Any:
    mask = np.full((height, width), left, np.uint8)
    mask[:, width // 2 :] = right
    return mask


LABELS = [label(halves(0, 7)), label(halves(3, 255)), label(halves(3, 7, 64, 96))]
TASK = ImageSegmentation(INPUTS, ImageSegmentation.labels_of(LABELS))


def test_classes_are_the_numbers_of_all_masks_but_void() -> None:
    assert TASK.labels == ("0", "3", "7")


def test_targets_are_what_the_source_model_sees_of_a_mask() -> None:
    targets = TASK.targets(LABELS)
    assert targets.shape == (3, 8, 8)
    assert targets[0, 0].tolist() == [0] * 4 + [2] * 4
    assert targets[1, 0].tolist() == [1] * 4 + [255] * 4
    assert targets[2, 0].tolist() == [1] * 4 + [2] * 4
    edges = ImageSegmentation(ImageInputs(INPUTS.tensors, 32, 32, 16), TASK.labels)
    assert edges.targets(LABELS[:1])[0, 0, 0] == 255


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (png(halves(0, 1)), None),
        (png(halves(0, 1), "P"), None),
        (png(halves(0, 255), "1"), None),
        (png(halves(0, 1), "RGB"), "not PNG of the mode RGB"),
        (b"nothing", "no image"),
        (png(halves(0, 1))[:60], "broken|truncated|incomplete"),
    ],
)
def test_mask_is_a_png_of_numbers(content: bytes, problem: str | None) -> None:
    import re

    found = mask_problem(content)
    assert found is None if problem is None else re.search(problem, str(found))


def certain(targets: Any, classes: int = 3) -> Any:
    known = np.where(targets == 255, 0, targets)
    return np.moveaxis(np.eye(classes, dtype=np.float32)[known], -1, 1)


def test_right_pixels_have_an_overlap_of_one_and_void_does_not_count() -> None:
    targets = TASK.targets(LABELS)
    found = TASK.metrics(certain(targets), targets)
    assert (found["miou"], found["class_miou"], found["pixel_accuracy"]) == (1, 1, 1)
    assert found["loss"] == pytest.approx(0)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(np.array([[3, 1], [2, 4]])).tolist() == [3 / 6, 4 / 7]
    targets, wrong = np.zeros((1, 8, 8), np.uint8), np.zeros((1, 8, 8), np.uint8)
    wrong[0, :2] = 1
    found = TASK.metrics(certain(wrong), targets)
    assert (found["miou"], found["pixel_accuracy"]) == (0.75, 0.75)
    assert TASK.scores(certain(wrong), targets).tolist() == [0.75]


def test_decoder_gives_the_side_and_learns() -> None:
    head = TASK.head(Feature("map", "map", 8))
    targets = torch.from_numpy(TASK.targets(LABELS))
    outputs = head(torch.randn(3, 8, 2, 2))
    assert outputs.shape == (3, 3, 8, 8)
    loss = TASK.loss(outputs, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()


def test_answer_is_a_mask_of_the_numbers_that_masks_had() -> None:
    tensors = TASK.decode(certain(TASK.targets(LABELS)))
    assert tensors["mask"].shape == (3, 32, 32)
    (answer, *_) = TASK.answers(tensors)
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["mask"]))))
    assert np.array_equal(mask, halves(0, 7))
    assert answer["shares"] == {"0": 0.5, "3": 0.0, "7": 0.5}
    assert answer["score"] == 1


def grey(bits: int) -> bytes:
    """A PNG of 4 × 4 grey pixels of so many bits, written by hand (RFC 2083)."""
    lines = zlib.compress(b"".join(b"\0" + bytes(max(1, 4 * bits // 8)) for _ in range(4)))
    header = struct.pack(">IIBBBBB", 4, 4, bits, 0, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", lines), (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_masks_of_few_bits_keep_their_numbers_or_are_refused() -> None:
    for bits in (2, 4):
        assert "8 bits or 1" in str(mask_problem(grey(bits)))
    assert mask_problem(grey(8)) is None
    one_bit = base64.b64encode(png(halves(0, 255), "1")).decode()
    assert ImageSegmentation.labels_of([one_bit]) == ("0", "1")


def test_masks_of_one_class_are_refused_with_the_likely_reason(tmp_path: Path) -> None:
    lines = ["image,mask"]
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(png(halves(number, 90), "RGB"))
        (tmp_path / f"{number}-mask.png").write_bytes(png(halves(0, 255)))
        lines.append(f"{number}.png,{number}-mask.png")
    (tmp_path / "data.csv").write_text("\n".join(lines))
    spec = AdaptationSpec(name="x", data=str(tmp_path / "data.csv"), source="any")
    with pytest.raises(DataError, match=r"'0' alone.*255 in a mask is no class"):
        load_dataset(spec, ImageSegmentation, Settings())


def test_a_class_that_only_the_test_masks_have_is_refused(tmp_path: Path) -> None:
    """It would not be judged: its pixels were those of no class."""
    for name, classes in (("data", (0, 1)), ("test", (0, 7))):
        lines = ["image,mask"]
        for number in range(6):
            stem = f"{name}-{number}"
            (tmp_path / f"{stem}.png").write_bytes(png(halves(number, 90), "RGB"))
            (tmp_path / f"{stem}-mask.png").write_bytes(png(halves(*classes)))
            lines.append(f"{stem}.png,{stem}-mask.png")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    data, test = (str(tmp_path / f"{name}.csv") for name in ("data", "test"))
    spec = AdaptationSpec(name="x", data=data, test=test, source="any")
    with pytest.raises(DataError, match="no row of the data has the label '7'"):
        load_dataset(spec, ImageSegmentation, Settings())


def test_masks_of_one_class_alone_have_a_simple_baseline() -> None:
    """So may be those of the training part, where the others are in the test part."""
    files = [png(halves(20, 200), "RGB") for _ in range(2)]
    model = PixelColours(TASK.inputs, (4, 4), 2, 0).fit(files, np.zeros((2, 4, 4), np.uint8))
    assert model.predict_proba(files)[:, 0].min() == 1


def upright_jpeg(width: int, height: int, turn: int) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", (width, height)).save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mask", "picture", "reason"),
    [
        ((60, 40), upright_jpeg(60, 40, 1), None),
        ((30, 20), upright_jpeg(60, 40, 1), None),
        ((40, 60), upright_jpeg(60, 40, 6), None),
        ((60, 40), upright_jpeg(60, 40, 6), "picture of 40 × 60, and like it before its EXIF turn"),
        (
            (10, 300),
            upright_jpeg(100, 60, 1),
            "10 × 300 pixels is of another form than its picture",
        ),
    ],
)
def test_a_mask_has_the_form_of_its_picture(
    mask: tuple[int, int], picture: bytes, reason: str | None
) -> None:
    found = ImageSegmentation.check_pair(picture, png(np.zeros(mask[::-1], np.uint8)))
    assert found is None if reason is None else reason in str(found)
