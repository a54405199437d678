"""What a graph gives, found by running it."""

from typing import Any

import numpy as np
import onnx
import onnxruntime

from regraft import Inputs, InvalidInputError, TextInputs


def probed(name: str, model: onnx.ModelProto, inputs: Inputs) -> tuple[int, ...]:
    """The shape of the output for a batch of two; InvalidInputError if it cannot be run so, or if
    rows depend on their batch-mates."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        two = _run(session, inputs.example(2, 8))
        one = _run(session, {key: rows[:1] for key, rows in inputs.example(2, 8).items()})
        padded = _run(session, _padded(inputs)) if isinstance(inputs, TextInputs) else None
    except Exception as error:  # onnxruntime raises kinds of its own
        raise InvalidInputError(
            f"'{name}' cannot be run on a batch of two, as a graph with a variable batch can: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if two.shape[:1] != (2,) or not np.allclose(one[0], two[0], atol=1e-3):
        raise InvalidInputError(
            f"'{name}' gives the shape {list(two.shape)} for a batch of two, or a row depends on "
            "the others: it is no feature of each row."
        )
    if padded is not None and not np.allclose(_real(padded[0]), _real(one[0]), atol=1e-3):
        raise InvalidInputError(
            f"'{name}' gives another feature for a text that is padded: it takes no "
            "attention_mask, or does not heed it."
        )
    return tuple(two.shape)


def _padded(inputs: TextInputs) -> dict[str, Any]:
    """One row of the example with four positions more that are masked."""
    batch = {key: rows[:1] for key, rows in inputs.example(2, 8).items()}
    return {key: np.pad(rows, ((0, 0), (0, 4)), constant_values=0) for key, rows in batch.items()}


def _real(feature: Any) -> Any:
    """The steps of an unpadded row of the example; a vector as it is."""
    return feature[:8] if feature.ndim == 2 else feature


def _run(session: Any, batch: dict[str, Any]) -> Any:
    names = [tensor.name for tensor in session.get_inputs()]
    return session.run(None, {name: batch[name] for name in names})[0]
