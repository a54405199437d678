"""JSON from strangers: what is read, what is refused, and that refusals tell no secrets."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regraft.errors import TooLargeError
from regraft.serving.strict_json import loads
from regraft.serving.tensors import BadRequestError

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    SCALARS | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=200
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@given(VALUES, st.booleans())
def test_what_the_standard_library_writes_is_read_back(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert loads(body, len(body)) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Not JSON"),
        (b"[1] 2", "Extra data"),
        (b"[1,]", "Not JSON"),
        (b"{'a': 1}", "Not JSON"),
        (b"[01]", "Not JSON"),
        (b'"\t"', "control character"),
        (b"\xef\xbb\xbf[]", "Not JSON"),
        ("[]".encode("utf-16"), "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"[NaN]", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e999", "64-bit float"),
        (b"-1" + b"0" * 400 + b".0", "64-bit float"),
        (b"1" * 5000, "too many digits"),
        (b'{"a": 1, "b": 2, "a": 3}', "repeats the key 'a'"),
        (rb'{"a": 1, "\u0061": 3}', "repeats the key 'a'"),
        (rb'"\ud800"', "surrogate"),
        (rb'"\uDC00 and \uD800"', "surrogate"),
        (rb'{"\udfff": 1}', "surrogate"),
        (nested(65), "64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "64 levels"),
        (b"[" * 1_000_000, "64 levels"),
        (b'{"":' * 100_000, "64 levels"),
        (rb'["\\",' + nested(100) + rb',"\\"]', "64 levels"),
        (b"[" * 1000 + rb"\"" + b"]" * 1000, "64 levels"),
    ],
)
def test_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadRequestError, match=reason):
        loads(body, len(body))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({str(key): 0 for key in range(200_001)}).encode(), "200,000 keys"),
        (json.dumps({str(key): 0 for key in range(200_001)}, indent=0).encode(), "200,000 keys"),
        (b'[{"a" : 0}' + b',{"a" : 0}' * 200_000 + b"]", "200,000 keys"),
        (b'["' + b'","' * (2**20 + 1) + b'"]', "1,048,576 values"),
        (json.dumps(["a", "b" * 2_400]).encode(), "at most 100 characters"),
        (json.dumps(["a", "\U0001f600" * 400]).encode(), "at most 100 characters"),
    ],
)
def test_what_would_cost_more_than_a_request_may_is_too_large(body: bytes, reason: str) -> None:
    with pytest.raises(TooLargeError, match=reason):
        loads(body, len(body), longest=100)


def test_as_many_as_there_may_be_are_read() -> None:
    keys = {str(key): '":' for key in range(200_000)}
    assert loads(json.dumps(keys).encode(), 10**7) == keys
    assert loads(json.dumps([":)"] * 200_001).encode(), 10**7) == [":)"] * 200_001
    digits = ["9" * 100_000] * 3
    assert loads(json.dumps(digits).encode(), 10**7, longest=100_000) == digits
    values = ["a, b: c, d"] * 2**20
    assert loads(json.dumps(values).encode(), 10**8, longest=100) == values


@given(TEXT, TEXT)
def test_a_string_that_is_not_too_long_is_read(one: str, other: str) -> None:
    values = [one[:10], other[:10]] * 20
    assert loads(json.dumps(values).encode(), 10**6, longest=10) == values


def test_digits_without_end_are_not_parsed() -> None:
    # The parser has another message for them.
    with pytest.raises(BadRequestError, match="digits in a row"):
        loads(b"[" + b"9" * 10**7 + b"]", 10**8)


def test_64_levels_are_allowed() -> None:
    value = loads(nested(64), 128)
    for _ in range(63):
        (value,) = value
    assert value == []


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert loads(b"[" + b",".join([b"[{}]"] * 1000) + b"]", 10_000) == [[{}]] * 1000


@pytest.mark.parametrize(
    "text", ["[" * 500, '"' + "[" * 500, '\\"' + "{" * 500, "\\" * 3 + "[" * 500]
)
def test_brackets_in_strings_are_not_depth(text: str) -> None:
    assert loads(json.dumps([text]).encode(), 10_000) == [text]


def test_escaped_surrogate_pairs_are_text() -> None:
    assert loads(rb'"\ud83d\ude00"', 100) == "😀"


def test_an_escaped_backslash_before_ud800_is_not_a_surrogate() -> None:
    assert loads(rb'"\\ud800"', 100) == r"\ud800"


def test_over_the_limit_is_too_large() -> None:
    with pytest.raises(TooLargeError, match="limit is 4"):
        loads(b"[1,2]", 4)


def test_messages_hold_at_most_60_characters_of_the_input() -> None:
    key = "k" * 10_000
    with pytest.raises(BadRequestError) as caught:
        loads(f'{{"{key}":1,"{key}":2}}'.encode(), 100_000)
    assert "k" * 50 in str(caught.value)
    assert "k" * 61 not in str(caught.value)


@settings(max_examples=200)
@given(st.binary() | st.text('[]{}",\\:u0d8e1N-. ', max_size=300).map(str.encode))
def test_arbitrary_bytes_raise_nothing_but_bad_requests(body: bytes) -> None:
    with suppress(BadRequestError):
        json.dumps(loads(body, 10_000), allow_nan=False)
