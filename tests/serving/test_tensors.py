"""Tensors as JSON and as bytes, for every data type."""

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regraft.contract import Array
from regraft.errors import TooLargeError
from regraft.serving.tensors import (
    DTYPES,
    PIECE,
    BadRequestError,
    datatype_of,
    for_orjson,
    from_binary,
    from_json,
    from_values,
    to_binary,
    to_json,
)

NUMERIC = [name for name in DTYPES if name != "BYTES"]


def arrays(datatype: str, elements: Any = None) -> Any:
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    fill = st.nothing() if datatype == "BYTES" else None
    return hnp.arrays(DTYPES[datatype], shapes, elements=elements, fill=fill)


def assert_same(given_array: Array, expected: Array) -> None:
    assert given_array.dtype == expected.dtype
    assert given_array.shape == expected.shape
    np.testing.assert_array_equal(given_array, expected)


def objects(*items: object) -> Array:
    array = np.empty(len(items), np.object_)
    array[:] = items
    return array


@pytest.mark.parametrize("datatype", NUMERIC)
@given(data=st.data())
def test_numbers_survive_binary(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))
    raw = memoryview(to_binary(array))
    assert_same(from_binary("x", datatype, list(array.shape), raw), array)


@pytest.mark.parametrize("datatype", NUMERIC)
@given(data=st.data())
def test_finite_numbers_survive_json_flat_and_nested(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))
    assume(np.isfinite(array).all())
    flat = json.loads(json.dumps(to_json(array)))
    assert_same(from_json("x", datatype, list(array.shape), flat), array)
    if array.ndim:
        assert_same(from_json("x", datatype, list(array.shape), array.tolist()), array)


@given(arrays("BYTES", st.binary()))
def test_bytes_survive_binary(array: Array) -> None:
    raw = memoryview(to_binary(array))
    assert_same(from_binary("x", "BYTES", list(array.shape), raw), array)


@given(arrays("BYTES", st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)))
def test_text_survives_json(array: Array) -> None:
    assert_same(from_json("x", "BYTES", list(array.shape), to_json(array)), array)


@pytest.mark.parametrize(
    ("datatype", "value", "raw"),
    [
        ("BOOL", True, b"\x01"),
        ("UINT16", 258, b"\x02\x01"),
        ("INT32", -2, b"\xfe\xff\xff\xff"),
        ("FP16", 1.0, b"\x00\x3c"),
        ("FP32", 1.0, b"\x00\x00\x80\x3f"),
        ("BYTES", "hé", b"\x03\x00\x00\x00h\xc3\xa9"),
    ],
)
def test_binary_is_little_endian(datatype: str, value: object, raw: bytes) -> None:
    array = from_json("x", datatype, [1], [value])
    assert to_binary(array) == raw
    assert_same(from_binary("x", datatype, [1], memoryview(raw)), array)


def test_big_endian_and_strided_arrays_become_little_endian_rows() -> None:
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    assert to_binary(array) == np.array([0, 3, 1, 4, 2, 5], "<i4").tobytes()
    assert datatype_of(array) == "INT32"


def test_a_binary_tensor_is_an_aligned_copy() -> None:
    body = bytearray(b"-" + np.float64(2.5).tobytes())
    array = from_binary("x", "FP64", [1], memoryview(body)[1:])
    body[:] = bytes(9)
    assert array.flags.aligned
    assert array.tolist() == [2.5]


@pytest.mark.parametrize("datatype", [name for name in NUMERIC if "INT" in name])
def test_integers_of_json_neither_wrap_nor_pass_the_range(datatype: str) -> None:
    info = np.iinfo(DTYPES[datatype])
    assert from_json("x", datatype, [2], [info.min, info.max]).tolist() == [info.min, info.max]
    for value in (info.min - 1, info.max + 1, 10**30):
        with pytest.raises(BadRequestError, match=f"'x'.*{datatype}.*{info.max}"):
            from_json("x", datatype, [1], [value])


@pytest.mark.parametrize(
    ("datatype", "value"), [("FP16", 70000), ("FP32", 1e39), ("FP64", 10**400)]
)
def test_floats_of_json_do_not_overflow_to_infinity(datatype: str, value: float) -> None:
    with pytest.raises(BadRequestError, match=f"'x'.*{datatype}"):
        from_json("x", datatype, [1], [value])


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("INT32", True),
        ("INT32", 1.0),
        ("INT32", "1"),
        ("INT32", None),
        ("FP32", True),
        ("FP32", "1"),
        ("BOOL", 1),
        ("BOOL", "true"),
        ("BYTES", 1),
        ("BYTES", None),
        ("BYTES", {"b64": "aa"}),
        ("BYTES", ["a"]),
    ],
)
def test_elements_of_another_type_are_refused(datatype: str, value: object) -> None:
    with pytest.raises(BadRequestError, match="'x': every element must be"):
        from_json("x", datatype, [2], [from_json_example(datatype), value])


def from_json_example(datatype: str) -> object:
    return {"BOOL": True, "BYTES": "a"}.get(datatype, 1)


def test_null_is_a_float_that_is_not_a_number_as_in_what_is_answered() -> None:
    array = from_json("x", "FP32", [3], [1, None, 2.5])
    assert_same(array, np.array([1, np.nan, 2.5], np.float32))
    assert to_json(array) == [1, None, 2.5]


def test_values_of_a_message_may_be_whatever_binary_data_may_be() -> None:
    array = np.array([1.5, np.nan, np.inf, -np.inf], np.float32)
    assert_same(from_values("x", "FP32", [4], array.tolist()), array)


def test_floats_accept_integers() -> None:
    assert from_json("x", "FP32", [2], [1, 2.5]).tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2, 3], [1, 2, 3, 4, 5]),
        ([2, 3], [[1, 2], [3, 4], [5, 6]]),
        ([2, 3], [[1, 2, 3], [4, 5]]),
        ([2, 3], [[1, 2, 3], 4]),
        ([6], [[1, 2, 3], [4, 5, 6]]),
        ([1, 2], [[[1], [2]]]),
        ([], []),
        ([], [[1]]),
        ([1], 1),
        ([1], {"0": 1}),
    ],
)
def test_data_that_is_not_the_shape_is_refused(shape: list[int], data: object) -> None:
    with pytest.raises(BadRequestError, match="'x'"):
        from_json("x", "INT64", shape, data)


def test_a_wrong_count_tells_expected_and_given() -> None:
    with pytest.raises(BadRequestError, match="'x': its shape needs 6 elements, not 5"):
        from_json("x", "INT64", [2, 3], [1] * 5)


@pytest.mark.parametrize(
    "shape",
    [
        None,
        3,
        "3",
        {"0": 1},
        [1.0],
        [True],
        [None],
        [[1]],
        [-1],
        [-1, -1],
        [2**63],
        [2**32, 2**32],
        [2**64 + 1],
        [10**4000],
        [0, 2**62],
        [1] * 33,
        [2**20, 2**20, 2],
    ],
)
@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_impossible_shapes_are_refused_before_allocation(datatype: str, shape: Any) -> None:
    with pytest.raises(BadRequestError, match="'x'") as caught:
        from_json("x", datatype, shape, [])
    assert len(str(caught.value)) < 200
    with pytest.raises(BadRequestError, match="'x'"):
        from_binary("x", datatype, shape, memoryview(b""))


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "reason"),
    [
        ("FP32", [2], b"\0" * 7, "needs 8 bytes, not 7"),
        ("FP32", [2], b"\0" * 9, "needs 8 bytes, not 9"),
        ("FP32", [2**40], b"", "bytes, not 0"),
        ("BOOL", [2], b"\x01\x02", "0 or 1"),
        ("BYTES", [1], b"\x01\0\0", "at least 4 bytes, not 3"),
        ("BYTES", [1], b"\x02\0\0\0a", "at least 6 bytes, not 5"),
        ("BYTES", [1], b"\xff\xff\xff\xffa", "not 5"),
        ("BYTES", [2], b"\x04\0\0\0abcd\0\0", "at least 12 bytes, not 10"),
        ("BYTES", [1], b"\x01\0\0\0ab", "needs 5 bytes, not 6"),
        ("BYTES", [2**40], b"\0" * 16, "not 16"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(
    datatype: str, shape: list[int], raw: bytes, reason: str
) -> None:
    with pytest.raises(BadRequestError, match=f"'x'.*{reason}"):
        from_binary("x", datatype, shape, memoryview(raw))


def test_an_unknown_datatype_lists_the_known_ones() -> None:
    with pytest.raises(BadRequestError, match=r"'STRING'.*Known: BOOL.*BYTES"):
        from_json("x", "STRING", [1], ["a"])


def test_floats_that_are_not_finite_are_null_in_json() -> None:
    array = np.array([np.nan, 1.5, np.inf, -np.inf], np.float32)
    assert to_json(array) == [None, 1.5, None, None]


@pytest.mark.parametrize("elements", [PIECE, PIECE + 1, 3 * PIECE])
def test_many_elements_are_the_same_json_as_few(elements: int) -> None:
    array = np.arange(elements, dtype=np.float32) / 3
    array[-1] = np.nan
    texts = array.astype(str).astype(object)
    for one in (array.reshape(-1, 1), texts):
        assert orjson.dumps({"data": for_orjson(one)}) == orjson.dumps({"data": to_json(one)})


def test_floats_that_are_not_finite_survive_binary() -> None:
    array = np.array([np.nan, np.inf, -np.inf], np.float16)
    assert_same(from_binary("x", "FP16", [3], memoryview(to_binary(array))), array)


def test_many_empty_strings_are_refused_before_any_is_made() -> None:
    count = 2**16 + 1
    with pytest.raises(TooLargeError, match="65,537 elements"):
        from_binary("t", "BYTES", [count], memoryview(bytes(4 * count)))
    assert from_binary("t", "BYTES", [2**16], memoryview(bytes(4 * 2**16))).size == 2**16


def test_bytes_that_are_not_utf8_ask_for_binary_output() -> None:
    with pytest.raises(BadRequestError, match="binary_data"):
        to_json(objects(b"ok", b"\xff"))


@pytest.mark.parametrize("array", [objects("é", b"x"), np.array(["é", "x"])])
def test_strings_of_numpy_are_bytes(array: Array) -> None:
    assert datatype_of(array) == "BYTES"
    assert to_json(array) == ["é", "x"]
    assert to_binary(array) == b"\x02\0\0\0\xc3\xa9\x01\0\0\0x"


@pytest.mark.parametrize("array", [objects(b"x", 5), objects(None)])
def test_objects_that_are_not_strings_are_a_programming_error(array: Array) -> None:
    with pytest.raises(TypeError, match="BYTES"):
        to_binary(array)


def test_types_outside_the_protocol_are_a_programming_error() -> None:
    with pytest.raises(TypeError, match="complex128"):
        datatype_of(np.zeros(1, np.complex128))


def test_long_names_are_cut_in_messages() -> None:
    with pytest.raises(BadRequestError) as caught:
        from_json("n" * 10_000, "FP32", [1], [])
    assert "n" * 61 not in str(caught.value)
