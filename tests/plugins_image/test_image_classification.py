"""What requests of images may carry, and how training varies them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from regraft.contract import ImageInputs, TensorSpec
from regraft.errors import InvalidInputError, TooLargeError
from regraft.serving.tensors import BadRequestError, check_tensors
from regraft_image.augmentation import varied
from regraft_image.classification import ImageClassification

INPUTS = ImageInputs((TensorSpec("pixels", "UINT8", ("batch", 8, 8, 3)),), 8, 8, 9)
TASK = ImageClassification(INPUTS, ("a", "b"))


def png(side: int = 12) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), "green").save(file, "PNG")
    return file.getvalue()


def files(*contents: bytes) -> dict[str, np.ndarray]:
    items = np.empty(len(contents), object)
    items[:] = contents
    return {"image": items}


def test_files_and_raw_pixels_give_the_same_tensor() -> None:
    raw = np.asarray(Image.open(io.BytesIO(png())))[None]
    from_file = TASK.encode(TASK.rows(files(png())))["pixels"]
    assert np.array_equal(from_file, TASK.encode(TASK.rows({"pixels": raw}))["pixels"])


def test_either_tensor_is_taken_but_no_other_and_not_both() -> None:
    raw = {"pixels": np.zeros((1, 5, 4, 3), np.uint8)}
    alternatives = TASK.request_alternatives()
    check_tensors(alternatives, raw)
    check_tensors(alternatives, files(png()))
    for wrong in ({**raw, **files(png())}, {"picture": raw["pixels"]}):
        with pytest.raises(BadRequestError, match="'image' or 'pixels'"):
            check_tensors(alternatives, wrong)


@pytest.mark.parametrize("shape", [(1, 5, 4), (1, 5, 4, 4), (1, 0, 4, 3)])
def test_raw_pixels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadRequestError):
        check_tensors(TASK.request_alternatives(), {"pixels": np.zeros(shape, np.uint8)})


def test_a_file_that_is_too_large_or_no_image_is_refused() -> None:
    with pytest.raises(TooLargeError, match="at most 20,971,520"):
        TASK.rows(files(png() + bytes(TASK.largest_file)))
    with pytest.raises(InvalidInputError, match="PNG, JPEG, WEBP"):
        TASK.rows(files(png(), b"no image"))


def test_the_size_of_a_row_is_what_there_is_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TASK.size(png(40)) == 1600
    (row,) = TASK.rows(files(png(40)))
    monkeypatch.setattr("regraft_image.rows.open_image", None)
    assert TASK.size(row) == 1600, "its header is not read again"
    assert TASK.size(np.zeros((5, 7, 3), np.uint8)) == 35


def test_people_send_base64() -> None:
    assert TASK.read_inputs([base64.b64encode(png()).decode()]) == [png()]
    for wrong in ("not base64!", 7, None):
        with pytest.raises(InvalidInputError, match="base64"):
            TASK.read_inputs([wrong])


def test_training_varies_images_and_serving_does_not() -> None:
    images = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
    found = varied(images, np.random.default_rng(1))
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert not np.array_equal(found, images)
    again = TASK.augment({"pixels": images}, np.random.default_rng(1))["pixels"]
    assert np.array_equal(found, again)
    assert np.array_equal(TASK.encode([png()])["pixels"], TASK.encode([png()])["pixels"])
