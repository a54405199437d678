"""Inference requests: what clients send is understood, and nothing else gets through."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regraft.errors import TooLargeError, UnsupportedError
from regraft.serving.protocol import (
    InferRequest,
    RequestedOutput,
    parse_header_length,
    parse_infer,
    time_given,
)
from regraft.serving.tensors import BadRequestError

TEXT = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["hello"]}
# What tritonclient 2.73 sends for one binary BYTES tensor when no output is named.
TRITON = (
    b'{"inputs":[{"name":"text","shape":[2,1],"datatype":"BYTES",'
    b'"parameters":{"binary_data_size":17}}],"parameters":{"binary_data_output":true}}'
)
TRITON_TAIL = b"\x08\x00\x00\x00hello \xc3\xa9\x01\x00\x00\x00x"


def parse(document: Any, tail: bytes = b"", max_json: int = 10_000) -> InferRequest:
    head = json.dumps(document).encode()
    return parse_infer(head + tail, len(head) if tail else None, max_json)


def request(*inputs: Any, **others: Any) -> dict[str, Any]:
    return {"inputs": list(inputs), **others}


def binary(name: str, size: Any, **others: Any) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {
        "name": name,
        "shape": [1],
        "datatype": "INT16",
        "parameters": parameters,
        **others,
    }


def test_json_request() -> None:
    asked = parse(request(TEXT, id="7", parameters={"k": "v"}))
    assert asked.tensors["text"].tolist() == [b"hello"]
    assert (asked.id, asked.parameters, asked.outputs) == ("7", {"k": "v"}, None)
    assert asked.binary_output is False


def test_the_time_that_a_client_gives_is_in_microseconds() -> None:
    assert time_given(parse(request(TEXT))) is None
    assert time_given(parse(request(TEXT, parameters={"timeout": 0}))) is None
    assert time_given(parse(request(TEXT, parameters={"timeout": 1_500_000}))) == 1.5


@pytest.mark.parametrize("timeout", [-1, "1", 1.5, True, 10**400])
def test_no_other_time_is_understood(timeout: Any) -> None:
    with pytest.raises(BadRequestError, match="'timeout' must be"):
        time_given(parse(request(TEXT, parameters={"timeout": timeout})))


def test_binary_request_of_tritonclient() -> None:
    asked = parse_infer(TRITON + TRITON_TAIL, len(TRITON), 10_000)
    assert asked.tensors["text"].tolist() == [["hello é".encode()], [b"x"]]
    assert asked.binary_output is True
    assert asked.id == ""


def test_binary_tensors_take_their_bytes_in_listed_order() -> None:
    tail = np.array([1, 2], "<i2").tobytes()
    asked = parse(request(binary("b", 2), TEXT, binary("a", 2)), tail)
    assert list(asked.tensors) == ["b", "text", "a"]
    assert (asked.tensors["b"].item(), asked.tensors["a"].item()) == (1, 2)


def test_an_empty_binary_tensor_needs_no_bytes() -> None:
    asked = parse(request(binary("a", 0, shape=[0, 4])))
    assert asked.tensors["a"].shape == (0, 4)


def test_requested_outputs_keep_their_order_and_options() -> None:
    outputs = [
        {"name": "p", "parameters": {"binary_data": False}},
        {"name": "label", "parameters": {"classification": 3, "binary_data": True}},
        {"name": "logits"},
    ]
    assert parse(request(TEXT, outputs=outputs)).outputs == (
        RequestedOutput("p", binary=False),
        RequestedOutput("label", binary=True, classification=3),
        RequestedOutput("logits"),
    )


@pytest.mark.parametrize("outputs", [None, []])
def test_no_named_outputs_means_all(outputs: Any) -> None:
    assert parse(request(TEXT, outputs=outputs)).outputs is None


def test_unknown_fields_and_parameters_are_tolerated() -> None:
    extra = {"priority": 1, "timeout": 4, "sequence_id": 3, "sequence_start": True}
    tensor = {**TEXT, "parameters": {"content_type": "str"}, "extra": [1]}
    asked = parse(request(tensor, parameters=extra, more={}))
    assert asked.parameters == extra
    assert asked.tensors["text"].tolist() == [b"hello"]


def test_null_means_absent_for_what_is_optional() -> None:
    asked = parse(request({**TEXT, "parameters": None}, id=None, parameters=None, outputs=None))
    assert (asked.id, asked.parameters, asked.outputs) == ("", {}, None)


@pytest.mark.parametrize(
    "document",
    [
        request({**TEXT, "parameters": {"shared_memory_region": "r"}}),
        request(TEXT, outputs=[{"name": "p", "parameters": {"shared_memory_region": "r"}}]),
    ],
)
def test_shared_memory_is_unsupported(document: Any) -> None:
    with pytest.raises(UnsupportedError, match="Shared memory is not supported"):
        parse(document)


def test_json_over_its_cap_is_too_large() -> None:
    with pytest.raises(TooLargeError):
        parse(request(TEXT), max_json=20)


def test_the_cap_of_the_json_does_not_count_binary_tensors() -> None:
    asked = parse(request(binary("a", 20_000, shape=[10_000])), bytes(20_000), max_json=200)
    assert asked.tensors["a"].size == 10_000


def tensor(**changes: Any) -> dict[str, Any]:
    return request({**TEXT, **changes})


def output(**changes: Any) -> dict[str, Any]:
    return request(TEXT, outputs=[{"name": "p", **changes}])


MALFORMED: list[tuple[Any, str]] = [
    ([], "must be a JSON object"),
    (None, "must be a JSON object"),
    ("text", "must be a JSON object"),
    ({}, "'inputs' must list"),
    ({"inputs": []}, "'inputs' must list"),
    ({"inputs": TEXT}, "'inputs' must be a list"),
    ({"inputs": [[TEXT]]}, "'inputs' must be an object"),
    (request(TEXT, TEXT), "'text' is twice"),
    (request(TEXT, id=7), "'id' must be a string"),
    (request(TEXT, parameters=[]), "'parameters' must be an object"),
    (request(TEXT, parameters={"binary_data_output": 1}), "'binary_data_output' must be true"),
    (request(TEXT, outputs={}), "'outputs' must be a list"),
    (request(TEXT, outputs=["p"]), "'outputs' must be an object"),
    (request(TEXT, outputs=[{}]), "'outputs' must have a 'name'"),
    (request(TEXT, outputs=[{"name": "p"}, {"name": "p"}]), "'p' is twice"),
    (output(name=3), "'name' must be a string"),
    (output(parameters="x"), "'parameters' must be an object"),
    (output(parameters={"binary_data": "yes"}), "'binary_data' must be true or false"),
    (output(parameters={"classification": 0}), "at least 1"),
    (output(parameters={"classification": -1}), "at least 1"),
    (output(parameters={"classification": True}), "must be an integer"),
    (output(parameters={"classification": 1.5}), "must be an integer"),
    (tensor(name=""), "must have a 'name'"),
    (tensor(name=None), "must have a 'name'"),
    (tensor(name=["text"]), "'name' must be a string"),
    (tensor(datatype="STRING"), "unknown datatype 'STRING'"),
    (tensor(datatype=None), "unknown datatype"),
    (tensor(datatype=4), "'datatype' must be a string"),
    (tensor(shape=None), "'shape' must be a list"),
    (tensor(shape="1"), "'shape' must be a list"),
    (tensor(shape=[1.0]), "'shape' must be a list of integers"),
    (tensor(shape=[True]), "'shape' must be a list of integers"),
    (tensor(shape=[-1]), "negative"),
    (tensor(shape=[-1, -1]), "negative"),
    (tensor(shape=[2**63]), "more than"),
    (tensor(shape=[2**32, 2**32]), "more than"),
    (tensor(shape=[0, 2**64]), "more than"),
    (tensor(shape=[10**4000]), "more than"),
    (tensor(shape=[1] * 100), "at most 32 axes"),
    (tensor(shape=[2]), "needs 2 elements, not 1"),
    (tensor(shape=[2**40]), "needs 1099511627776 elements, not 1"),
    (tensor(data=None), "'data' must be a list"),
    (tensor(data="hello"), "'data' must be a list"),
    (tensor(data=[]), "needs 1 elements, not 0"),
    (tensor(data=[["hello"]]), "every element"),
    (tensor(data=[5]), "every element must be a string"),
    (tensor(datatype="INT8", data=[128]), "from -128 to 127"),
    (tensor(datatype="UINT64", data=[-1]), "from 0"),
    (tensor(datatype="INT64", data=[10**4000]), "from -9223372036854775808"),
    (tensor(datatype="FP32", data=[1e39]), "FP32"),
    (tensor(datatype="FP32", data=["1"]), "a number"),
    (tensor(datatype="BOOL", data=[1]), "true or false"),
    (tensor(parameters=1), "'parameters' must be an object"),
    (tensor(parameters={"binary_data_size": 5}), "either 'data' or 'binary_data_size'"),
    (request({"name": "x", "shape": [1], "datatype": "FP32"}), "either 'data'"),
    (request(binary("x", 2)), "from 0 to the 0 bytes"),
    (request(binary("x", -2)), "from 0 to the 0 bytes"),
    (request(binary("x", 10**4000)), "from 0 to the 0 bytes"),
    (request(binary("x", "2")), "'binary_data_size' must be an integer"),
    (request(binary("x", True)), "'binary_data_size' must be an integer"),
    (request(binary("x", 0)), "needs 2 bytes, not 0"),
]


@pytest.mark.parametrize(("document", "reason"), MALFORMED)
def test_malformed_documents_are_bad_requests(document: Any, reason: str) -> None:
    with pytest.raises(BadRequestError, match=reason) as caught:
        parse(document)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\xff\xfe{\0}\0",
        TRITON,
        TRITON + TRITON_TAIL,
        b"[" * 100_000,
        b'{"inputs":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[NaN]}]}',
        b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[-Infinity]}]}',
        b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1e400]}]}',
        b'{"inputs":[{"name":"x","shape":[1' + b"0" * 5000 + b'],"datatype":"FP32","data":[]}]}',
        b'{"inputs":[{"name":"x","name":"x","shape":[0],"datatype":"FP32","data":[]}]}',
        rb'{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["\ud800"]}]}',
    ],
)
def test_malformed_bodies_are_bad_requests(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_infer(body, None, 200_000)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("length", [-1, len(TRITON + TRITON_TAIL) + 1, 10**30])
def test_a_header_length_out_of_range_is_a_bad_request(length: int) -> None:
    with pytest.raises(BadRequestError, match="must be from 0 to the body's 156 bytes"):
        parse_infer(TRITON + TRITON_TAIL, length, 10_000)


@pytest.mark.parametrize("length", [0, 1, len(TRITON) - 1, len(TRITON) + 1])
def test_a_wrong_header_length_is_a_bad_request(length: int) -> None:
    with pytest.raises(BadRequestError):
        parse_infer(TRITON + TRITON_TAIL, length, 10_000)


@pytest.mark.parametrize("tail", [TRITON_TAIL[:-1], TRITON_TAIL + b"\0", b""])
def test_a_shortage_or_rest_of_tensor_bytes_is_a_bad_request(tail: bytes) -> None:
    with pytest.raises(BadRequestError, match="bytes"):
        parse_infer(TRITON + tail, len(TRITON), 10_000)


@pytest.mark.parametrize(("value", "length"), [(None, None), ("0", 0), ("139", 139)])
def test_header_length(value: str | None, length: int | None) -> None:
    assert parse_header_length(value) == length


@pytest.mark.parametrize(
    "value", ["", " ", "-1", "+1", "1.0", "1_0", "0x10", "١", "9" * 5000, "1,1"]
)
def test_a_header_length_that_is_no_number_is_a_bad_request(value: str) -> None:
    with pytest.raises(BadRequestError, match="Inference-Header-Content-Length"):
        parse_header_length(value)


@settings(max_examples=200)
@given(st.binary(max_size=300), st.none() | st.integers(-5, 400))
def test_arbitrary_bytes_are_bad_requests(body: bytes, length: int | None) -> None:
    with pytest.raises(BadRequestError):
        parse_infer(body, length, 1000)


@settings(max_examples=200)
@given(
    st.integers(0, len(TRITON + TRITON_TAIL)),
    st.integers(0, 8),
    st.binary(max_size=8),
    st.integers(-2, 2),
)
def test_mutated_bodies_are_understood_or_bad_requests(
    start: int, cut: int, patch: bytes, shift: int
) -> None:
    body = TRITON + TRITON_TAIL
    body = body[:start] + patch + body[start + cut :]
    with suppress(BadRequestError):
        assert parse_infer(body, len(TRITON) + shift, 1000).tensors


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(TEXT)), JSON_VALUES, st.sampled_from(["FP32", "INT8", "BYTES", "BOOL"])
)
def test_any_value_in_any_field_is_understood_or_a_bad_request(
    key: str, value: Any, datatype: str
) -> None:
    with suppress(BadRequestError):
        assert parse(request({**TEXT, "datatype": datatype, key: value})).tensors
