"""What a graph gives, found by running it."""

from typing import Any

import numpy as np
import onnx
import onnxruntime

from regraft import Inputs, InvalidInputError


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
    return tuple(two.shape)


def _run(session: Any, batch: dict[str, Any]) -> Any:
    names = [tensor.name for tensor in session.get_inputs()]
    return session.run(None, {name: batch[name] for name in names})[0]
