"""What requests of sound may carry, and how rows become batches."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from regraft.contract import AudioInputs, TensorSpec
from regraft.errors import InvalidInputError, TooLargeError
from regraft.serving.tensors import BadRequestError, check_tensors
from regraft_speech.classification import AudioClassification

TENSORS = (
    TensorSpec("samples", "FP32", ("batch", "length")),
    TensorSpec("lengths", "INT64", ("batch",)),
)
TASK = AudioClassification(AudioInputs(TENSORS, 16_000, 0.1, 2.0), ("a", "b"))


def wav(values: Any, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, values, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def noise(length: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, length).astype(np.float32)


def files(*contents: bytes) -> dict[str, Any]:
    items = np.empty(len(contents), object)
    items[:] = contents
    return {"audio": items}


def test_file_and_raw_samples_give_the_same_tensor() -> None:
    from_file = TASK.encode(TASK.rows(files(wav(noise(4000)))))
    raw = TASK.encode(TASK.rows({"samples": noise(4000)[None]}))
    for name in ("samples", "lengths"):
        np.testing.assert_array_equal(from_file[name], raw[name])


def test_rows_of_a_batch_are_filled_up_and_their_lengths_told() -> None:
    batch = TASK.encode([wav(noise(100)), noise(50_000), noise(5_000)])
    assert batch["samples"].shape == (3, 32_000)
    assert batch["lengths"].tolist() == [100, 32_000, 5_000]
    assert not batch["samples"][0, 100:].any()
    alone = TASK.encode([noise(100)])
    assert alone["samples"].shape == (1, 1600)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.5])
def test_raw_samples_out_of_range_are_refused(wrong: float) -> None:
    with pytest.raises(InvalidInputError, match="from -1 to 1"):
        TASK.rows({"samples": np.array([[0.0, wrong]], np.float32)})


def test_raw_samples_of_more_than_five_minutes_are_refused() -> None:
    with pytest.raises(TooLargeError, match="at most 4,800,000"):
        TASK.rows({"samples": np.zeros((1, 4_800_001), np.float32)})


def test_raw_samples_of_another_type_or_shape_are_refused() -> None:
    for array in (np.zeros((1, 9), np.int16), np.zeros(9, np.float32)):
        with pytest.raises(BadRequestError):
            check_tensors(TASK.request_alternatives(), {"samples": array})


def test_the_size_of_a_row_is_in_samples_of_the_source() -> None:
    assert TASK.size(wav(noise(8_000), 8_000)) == 16_000
    assert TASK.size(wav(noise(80_000), 8_000)) == 32_000
    assert TASK.size(noise(5_000)) == 5_000
    assert TASK.size(noise(77)) == 1_600


def test_training_varies_loudness_and_nothing_else() -> None:
    batch = TASK.encode([noise(4_000), noise(6_000)])
    varied = TASK.augment(batch, np.random.default_rng(0))
    assert varied["lengths"] is batch["lengths"]
    gain = np.abs(varied["samples"]).max(1) / np.abs(batch["samples"]).max(1)
    assert ((gain >= 0.5) & (gain <= 2) & (gain != 1)).all()
    assert not varied["samples"][0, 4_000:].any()
