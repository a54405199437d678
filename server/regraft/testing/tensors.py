"""Checks of tensors and their specs that the contracts share, and made-up batches."""

from collections.abc import Sequence

import numpy as np

from regraft.contract import Array, AudioInputs, Feature, Inputs, TensorSpec, TextInputs
from regraft.serving.tensors import DTYPES, datatype_of


def check_specs(specs: Sequence[TensorSpec], where: str) -> None:
    """Named, of known data types, and the first axis is the batch."""
    assert specs, f"{where} must name at least one tensor."
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names), f"{where} names a tensor twice: {', '.join(names)}."
    for spec in specs:
        assert spec.datatype in DTYPES, (
            f"{where}: the data type of '{spec.name}' is '{spec.datatype}'. "
            f"Known: {', '.join(DTYPES)}."
        )
        assert spec.shape[:1] == ("batch",), (
            f"{where}: the first axis of '{spec.name}' must be called 'batch', not {spec.shape}."
        )


def check_arrays(arrays: dict[str, Array], specs: Sequence[TensorSpec], rows: int) -> None:
    """Exactly the tensors of the specs, each of its type and shape, with `rows` rows."""
    wanted = {spec.name for spec in specs}
    assert set(arrays) == wanted, (
        f"The tensors must be {sorted(wanted)}, one for each spec, not {sorted(arrays)}."
    )
    for spec in specs:
        array = arrays[spec.name]
        assert datatype_of(array) == spec.datatype, (
            f"'{spec.name}' must be {spec.datatype}, but is an array of {array.dtype}."
        )
        fixed = [axis if isinstance(axis, int) else None for axis in spec.shape]
        fixed[0] = rows
        fits = len(fixed) == array.ndim and all(
            axis in (None, found) for axis, found in zip(fixed, array.shape, strict=True)
        )
        assert fits, f"'{spec.name}' must have the shape {spec.shape}, not {array.shape}."


def feature_shape(feature: Feature, batch: int, length: int) -> tuple[int, ...]:
    """The shape of a feature array; of a map, a small one; of a sequence, a text's."""
    return {
        "pooled": (batch, feature.size),
        "sequence": (batch, length, feature.size),
        "map": (batch, feature.size, 7, 7),
    }[feature.form]


def made_up_batch(inputs: Inputs, batch: int, length: int) -> dict[str, Array]:
    """Rows that mean nothing but that a source model must take, nothing of them padded."""
    example = inputs.example(batch, length)
    if isinstance(inputs, TextInputs) and "input_ids" in example:
        ids = example["input_ids"]
        rng = np.random.default_rng([batch, length])
        example["input_ids"] = rng.integers(0, _vocabulary(inputs), ids.shape).astype(ids.dtype)
    return example


def _vocabulary(inputs: TextInputs) -> int:
    from tokenizers import Tokenizer

    size: int = Tokenizer.from_buffer(inputs.tokenizer).get_vocab_size()
    return size


def padded(batch: dict[str, Array], inputs: Inputs, extra: int) -> dict[str, Array]:
    """The batch with padding at the end: `extra` positions of every axis called length, which for
    sound are tenths of a second."""
    more = extra * inputs.rate // 10 if isinstance(inputs, AudioInputs) else extra
    widths = {
        spec.name: [(0, more if axis == "length" else 0) for axis in spec.shape]
        for spec in inputs.tensors
    }
    return {name: np.pad(array, widths[name]) for name, array in batch.items()}
