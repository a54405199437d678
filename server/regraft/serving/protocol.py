"""The Open Inference Protocol over REST, with binary tensors: bodies in, values out, and back.

Where the specification is silent this follows Triton, whose clients are what people run:
github.com/triton-inference-server/server/tree/main/docs/protocol.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
import orjson

from regraft.contract import Array, Arrays, TensorSpec
from regraft.errors import InvalidInputError, TooLargeError, UnsupportedError
from regraft.serving import strict_json
from regraft.serving.tensors import (
    BadRequestError,
    datatype_of,
    for_orjson,
    from_binary,
    from_json,
    quoted,
    to_binary,
)

HEADER_LENGTH = "Inference-Header-Content-Length"
CHUNK = 64 * 1024
LEAST_COMPRESSED = 1024
FASTEST = 1
# Each member costs a decompressor, however short it is; real ones hold about 64 KiB (bgzip).
DEFLATED = 1032
"""The most bytes that one of deflate can stand for (zlib.net, Technical Details)."""
MAX_GZIP_MEMBERS = 1024

JSON = dict[str, Any]
T = TypeVar("T")
D = TypeVar("D")


class UnsupportedEncodingError(InvalidInputError):
    """A Content-Encoding other than gzip and deflate."""

    status = 415


@dataclass(frozen=True)
class RequestedOutput:
    """An output that the client named. `binary` None leaves the form to the request's default;
    `classification` is how many of the best classes are wanted instead of the values, or 0.
    """

    name: str
    binary: bool | None = None
    classification: int = 0


@dataclass(frozen=True)
class InferRequest:
    """One inference request; `outputs` None asks for all, `id` is empty when none was given. `size`
    is that of its message, in bytes."""

    id: str
    parameters: Mapping[str, Any]
    tensors: dict[str, Array]
    outputs: tuple[RequestedOutput, ...] | None
    binary_output: bool
    size: int = 0


def time_given(request: InferRequest) -> float | None:
    """For how long the client waits (s), as Triton's parameter `timeout` says in microseconds; None
    or 0 is for ever."""
    micros = _field(request.parameters, "timeout", int, 0)
    if not 0 <= micros < 2**63:
        raise BadRequestError("'timeout' must be a number of microseconds below 2^63, or 0.")
    return micros / 1e6 or None


@dataclass(frozen=True)
class InferResponse:
    """The body of a response, and the headers that tell how to read it."""

    body: bytes
    headers: dict[str, str]


def parse_header_length(value: str | None) -> int | None:
    """The `Inference-Header-Content-Length` header as a number of bytes."""
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise BadRequestError(f"{HEADER_LENGTH} must be a number of bytes.")
    return int(value)


def parse_infer(
    body: bytes, header_length: int | None, max_json: int, longest: int | None = None
) -> InferRequest:
    """The request that a body of JSON, then the bytes of binary tensors in listed order, makes.

    Without `header_length` the body is all JSON. Raises BadRequestError where it breaks the
    protocol, TooLargeError for JSON over `max_json` bytes or with a string of far more than
    `longest` characters, UnsupportedError for shared memory.
    """
    cut = len(body) if header_length is None else header_length
    if not 0 <= cut <= len(body):
        raise BadRequestError(f"{HEADER_LENGTH} must be from 0 to the body's {len(body)} bytes.")
    document = strict_json.loads(body[:cut], max_json, longest)
    if type(document) is not dict:
        raise BadRequestError("An inference request must be a JSON object.")
    parameters = _field(document, "parameters", dict, {})
    return InferRequest(
        id=_field(document, "id", str, ""),
        parameters=parameters,
        tensors=_inputs(document, memoryview(body)[cut:]),
        outputs=_outputs(document),
        binary_output=_field(parameters, "binary_data_output", bool, False),
        size=len(body),
    )


def build_infer(
    model: str, version: int, request: InferRequest, chosen: "Sequence[Output]"
) -> InferResponse:
    """The response that carries these outputs. Floats that are not finite are null in JSON and
    themselves in binary."""
    outputs, chunks = [], []
    for wanted, array in chosen:
        entry = _metadata(wanted.name, datatype_of(array), array.shape)
        if is_binary(request, wanted):
            chunks.append(to_binary(array))
            entry["parameters"] = {"binary_data_size": len(chunks[-1])}
        else:
            entry["data"] = for_orjson(array)
        outputs.append(entry)
    identity = {"id": request.id} if request.id else {}
    head = {"model_name": model, "model_version": str(version), **identity, "outputs": outputs}
    return _respond(_dump(head), chunks)


def is_binary(request: InferRequest, wanted: RequestedOutput) -> bool:
    return request.binary_output if wanted.binary is None else wanted.binary


Output = tuple[RequestedOutput, Array]


def check_outputs(
    request: InferRequest, known: Sequence[TensorSpec], labels: Sequence[str]
) -> None:
    """Raises BadRequestError for an output that there will not be, and for classes of one that will
    not have a number for each label."""
    specs = {spec.name: spec for spec in known}
    for wanted in request.outputs or ():
        spec = specs.get(wanted.name)
        if spec is None:
            raise BadRequestError(
                f"Unknown output {quoted(wanted.name)}. Known: {', '.join(specs)}."
            )
        each = spec.datatype.startswith("FP") and tuple(spec.shape[1:]) == (len(labels),)
        if wanted.classification and not each:
            raise BadRequestError(
                f"Output {quoted(wanted.name)} has no number for each class: it cannot be told as "
                "classes."
            )


def choose_outputs(
    request: InferRequest, tensors: Arrays, labels: Sequence[str]
) -> Sequence[Output]:
    """The outputs that a request that was checked names, in its order, or all; as classes where it
    asks for them."""
    wanted = [_as_it_is(name) for name in tensors] if request.outputs is None else request.outputs
    return [(one, _classes(one, tensors[one.name], labels)) for one in wanted]


def _classes(wanted: RequestedOutput, array: Array, labels: Sequence[str]) -> Array:
    """The best classes of each row as `value:index:label`, the best first."""
    if not wanted.classification:
        return array
    best = np.argsort(-array, axis=1, kind="stable")[:, : wanted.classification]
    found = np.empty(best.shape, object)
    for row, column in np.ndindex(*best.shape):
        index = int(best[row, column])
        found[row, column] = f"{array[row, index]:f}:{index}:{labels[index]}".encode()
    return found


def error_body(message: str) -> bytes:
    """The protocol's body of every failure."""
    return _dump({"error": message})


def compressed(body: bytes, accepted: str | None) -> tuple[bytes, str | None]:
    """The body in an encoding that the client accepts, and its name; as it is if it is short."""
    if len(body) < LEAST_COMPRESSED or not accepted:
        return body, None
    wanted = [part.replace(" ", "").lower() for part in accepted.split(",")]
    names = {part.partition(";")[0] for part in wanted if not part.endswith((";q=0", ";q=0.0"))}
    if "gzip" in names:
        return gzip.compress(body, FASTEST, mtime=0), "gzip"
    if "deflate" in names:
        return zlib.compress(body, FASTEST), "deflate"
    return body, None


def decode_content(body: bytes, encoding: str | None, limit: int) -> bytes:
    """The body without its Content-Encoding: gzip, deflate (with or without zlib's header) or none.

    Raises TooLargeError once more than `limit` bytes come out, BadRequestError for data that is
    damaged, cut short or followed by anything else, UnsupportedEncodingError for other encodings.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        _refuse_over(limit, len(body))
        return body
    if name in ("gzip", "x-gzip"):
        return _whole(body, 31, MAX_GZIP_MEMBERS, limit)
    if name == "deflate":
        return _whole(body, 15 if _has_zlib_header(body) else -15, 1, limit)
    raise UnsupportedEncodingError(
        f"Content-Encoding {quoted(name)} is not supported. Known: gzip, deflate, identity."
    )


def _field(record: Mapping[str, Any], key: str, kind: type[T], default: D) -> T | D:
    value = record.get(key)
    if value is None:
        return default
    if type(value) is not kind:
        raise BadRequestError(f"'{key}' must be {_KINDS[kind]}.")
    return value


_KINDS: dict[type, str] = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _named(document: JSON, key: str) -> Iterator[tuple[str, JSON, JSON]]:
    """Name, record and parameters of each entry of a list of tensors."""
    seen = set()
    for record in _field(document, key, list, []):
        if type(record) is not dict:
            raise BadRequestError(f"Each of '{key}' must be an object.")
        name = _field(record, "name", str, "")
        if not name:
            raise BadRequestError(f"Each of '{key}' must have a 'name'.")
        if name in seen:
            raise BadRequestError(f"{quoted(name)} is twice among '{key}'.")
        seen.add(name)
        parameters = _field(record, "parameters", dict, {})
        if any(parameter.startswith("shared_memory") for parameter in parameters):
            raise UnsupportedError("Shared memory is not supported: send tensors in the body.")
        yield name, record, parameters


def _inputs(document: JSON, tail: memoryview) -> dict[str, Array]:
    tensors = {}
    for name, record, parameters in _named(document, "inputs"):
        size = _field(parameters, "binary_data_size", int, None)
        if (size is None) == ("data" not in record):
            raise BadRequestError(
                f"Tensor {quoted(name)} must have either 'data' or 'binary_data_size'."
            )
        datatype = _field(record, "datatype", str, "")
        if size is None:
            tensors[name] = from_json(name, datatype, record.get("shape"), record["data"])
            continue
        if not 0 <= size <= len(tail):
            raise BadRequestError(
                f"Tensor {quoted(name)}: 'binary_data_size' must be from 0 to the"
                f" {len(tail)} bytes that are left in the body."
            )
        tensors[name] = from_binary(name, datatype, record.get("shape"), tail[:size])
        tail = tail[size:]
    if not tensors:
        raise BadRequestError("'inputs' must list at least one tensor.")
    if len(tail):
        raise BadRequestError(f"The body has {len(tail)} bytes that belong to no tensor.")
    return tensors


def _outputs(document: JSON) -> tuple[RequestedOutput, ...] | None:
    return (
        tuple(_output(name, parameters) for name, _, parameters in _named(document, "outputs"))
        or None
    )


def _output(name: str, parameters: JSON) -> RequestedOutput:
    classes = _field(parameters, "classification", int, None)
    if classes is not None and classes < 1:
        raise BadRequestError(f"Output {quoted(name)}: 'classification' must be at least 1.")
    return RequestedOutput(name, _field(parameters, "binary_data", bool, None), classes or 0)


@cache
def _as_it_is(name: str) -> RequestedOutput:
    """For names of a model's own outputs, of which there are few."""
    return RequestedOutput(name)


def _metadata(name: str, datatype: str, shape: Sequence[int]) -> JSON:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def _respond(head: bytes, chunks: list[bytes]) -> InferResponse:
    if not chunks:
        return InferResponse(head, {"content-type": "application/json"})
    headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    return InferResponse(b"".join([head, *chunks]), headers)


def _dump(value: JSON) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # A surrogate that reached a message must not turn an answer into a failure.
        return _ENCODER.encode(value).encode(errors="replace")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _has_zlib_header(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _refuse_over(limit: int, size: int) -> None:
    if size > limit:
        raise TooLargeError(f"The body is larger than {limit} bytes.")


def _whole(body: bytes, wbits: int, members: int, limit: int) -> bytes:
    """All that comes out. Nothing is kept of what could be too much before it is known to fit."""
    try:
        if DEFLATED * len(body) > limit:
            size = 0
            for chunk in _inflate(body, wbits, members):
                _refuse_over(limit, size := size + len(chunk))
        return b"".join(_inflate(body, wbits, members))
    except zlib.error:
        raise BadRequestError("The compressed body is damaged.") from None


def _inflate(body: bytes, wbits: int, members: int) -> Iterator[bytes]:
    """The content in pieces of at most CHUNK bytes; the input too is fed in pieces, since zlib
    copies what it does not use."""
    rest = memoryview(body)
    for _ in range(members):
        stream = zlib.decompressobj(wbits)
        while not stream.eof:
            given = rest[:CHUNK]
            chunk = stream.decompress(given, CHUNK)
            unused = len(stream.unconsumed_tail) + len(stream.unused_data)
            rest = rest[len(given) - unused :]
            if not chunk and not given:
                raise BadRequestError("The compressed body ends too early.")
            yield chunk
        if not rest:
            return
    raise BadRequestError(f"The compressed body goes on after {members} complete stream(s).")
