"""The Open Inference Protocol's gRPC messages: requests in, values out, and back.

Outputs go out as raw bytes, as Triton sends them; inputs are taken as raw bytes or as contents.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from regraft.contract import Array, TensorSpec
from regraft.errors import UnsupportedError
from regraft.serving.grpc_messages import CHOICE, MESSAGES
from regraft.serving.model_metadata import tensor_metadata
from regraft.serving.protocol import InferRequest, Output, RequestedOutput
from regraft.serving.tensors import (
    BadRequestError,
    check_items,
    datatype_of,
    dtype_named,
    from_binary,
    from_values,
    quoted,
    to_binary,
)

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def parse_infer(message: Any) -> InferRequest:
    """The request that a ModelInferRequest makes. Raises BadRequestError where it breaks the
    protocol, UnsupportedError for shared memory."""
    return InferRequest(
        id=message.id,
        parameters=_parameters(message.parameters),
        tensors=_tensors(message),
        outputs=tuple(map(_output, _unique("outputs", message.outputs))) or None,
        binary_output=True,
        size=message.ByteSize(),
    )


def build_infer(model: str, version: int, request: InferRequest, chosen: Sequence[Output]) -> Any:
    """The ModelInferResponse that carries these outputs."""
    response = MESSAGES["ModelInferResponse"](
        model_name=model, model_version=str(version), id=request.id
    )
    for wanted, array in chosen:
        response.outputs.add(name=wanted.name, datatype=datatype_of(array), shape=array.shape)
        response.raw_output_contents.append(to_binary(array))
    return response


def metadata(specs: Sequence[TensorSpec]) -> list[Any]:
    """Tensors as TensorMetadata tells them."""
    return [MESSAGES["TensorMetadata"](**entry) for entry in tensor_metadata(specs)]


def _parameters(entries: Any) -> dict[str, Any]:
    found = {}
    for entry in entries:
        choice = entry.value.WhichOneof(CHOICE)
        if choice is None:
            raise BadRequestError(f"Parameter {quoted(entry.key)} has no value.")
        found[entry.key] = getattr(entry.value, choice)
    if any(name.startswith("shared_memory") for name in found):
        raise UnsupportedError("Shared memory is not supported: send tensors in the message.")
    return found


def _unique(what: str, entries: Any) -> Any:
    seen = set()
    for entry in entries:
        if not entry.name:
            raise BadRequestError(f"Each of '{what}' must have a 'name'.")
        if entry.name in seen:
            raise BadRequestError(f"{quoted(entry.name)} is twice among '{what}'.")
        seen.add(entry.name)
    return entries


def _output(entry: Any) -> RequestedOutput:
    classes = _parameters(entry.parameters).get("classification")
    if classes is not None and (type(classes) is not int or classes < 1):
        raise BadRequestError(
            f"Output {quoted(entry.name)}: 'classification' must be a number of classes."
        )
    return RequestedOutput(entry.name, True, classes or 0)


def _tensors(message: Any) -> dict[str, Array]:
    inputs, raw = _unique("inputs", message.inputs), message.raw_input_contents
    if not inputs:
        raise BadRequestError("'inputs' must list at least one tensor.")
    if raw and len(raw) != len(inputs):
        raise BadRequestError(
            f"'raw_input_contents' must have an entry for each of the {len(inputs)} inputs, not "
            f"{len(raw)}."
        )
    for entry in inputs:
        _parameters(entry.parameters)
    if raw:
        return {
            entry.name: _from_raw(entry, content)
            for entry, content in zip(inputs, raw, strict=True)
        }
    return {entry.name: _from_contents(entry) for entry in inputs}


def _from_raw(entry: Any, content: bytes) -> Array:
    if entry.HasField("contents"):
        raise BadRequestError(
            f"Tensor {quoted(entry.name)} has 'contents' beside 'raw_input_contents'."
        )
    return from_binary(entry.name, entry.datatype, list(entry.shape), memoryview(content))


def _from_contents(entry: Any) -> Array:
    dtype_named(entry.name, entry.datatype)
    field = CONTENTS.get(entry.datatype)
    given = [kind.name for kind, _ in entry.contents.ListFields()]
    if field is None or given not in ([], [field]):
        raise BadRequestError(
            f"Tensor {quoted(entry.name)}: {quoted(entry.datatype)} is not given in "
            f"{', '.join(given) or 'contents'}, but in {field or 'raw_input_contents'}."
        )
    values, shape = getattr(entry.contents, field), list(entry.shape)
    if entry.datatype != "BYTES":
        return from_values(entry.name, entry.datatype, shape, values)
    check_items(entry.name, len(values))
    return from_binary(entry.name, "BYTES", shape, memoryview(_packed(values[:])))


def _packed(items: Sequence[bytes]) -> bytes:
    objects = np.empty(len(items), object)
    objects[:] = items
    return to_binary(objects)
