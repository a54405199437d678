"""How a text becomes token ids, and a request becomes texts."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from regraft.contract import SourceModel, TextInputs
from regraft.errors import InvalidInputError, TooLargeError
from regraft_text.classification import TextClassification

LONGEST = TextClassification.longest_text


@pytest.fixture(scope="module")
def task(minilm: SourceModel) -> TextClassification:
    return TextClassification(minilm.inputs, ("negative", "positive"))


def request(*texts: bytes) -> dict[str, np.ndarray]:
    items = np.empty(len(texts), object)
    items[:] = texts
    return {"text": items}


def test_long_text_is_cut_to_the_longest_length(minilm: SourceModel) -> None:
    inputs = minilm.inputs
    assert isinstance(inputs, TextInputs)
    short = TextInputs(inputs.tensors, inputs.tokenizer, 6)
    ids = TextClassification(short, ("a", "b")).encode(["word " * 50])["input_ids"]
    assert ids.shape == (1, 6)
    assert (ids[0, 0], ids[0, -1]) == (101, 102)


def test_fixed_padding_of_the_stored_tokenizer_is_not_used(task: TextClassification) -> None:
    assert b'"Fixed":128' in task.inputs.tokenizer.replace(b" ", b"")
    assert task.encode(["hello"])["input_ids"].shape == (1, 3)


def test_batch_is_padded_to_its_longest_row_and_masked(task: TextClassification) -> None:
    encoded = task.encode(["hello", "hello world again"])
    assert encoded["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert encoded["input_ids"][0, 3:].tolist() == [0, 0]


def test_a_text_is_counted_as_tokenizers_that_decompose_it_see_it() -> None:
    """U+FDFA is eighteen characters to them."""
    assert TextClassification.check("\ufdfa" * 5_000) is None
    assert TextClassification.check("\ufdfa" * 5_556) is not None
    told = TextClassification.check("\ufdfa" * 100_000)
    assert str(told).startswith("the text has more than 100,000 characters once it is decomposed")
    assert TextClassification.check("é" * LONGEST) is None
    assert TextClassification.check("é" * (LONGEST + 1)) is not None


def test_the_longest_text_that_is_taken_is_encoded_in_no_time(minilm: SourceModel) -> None:
    """Also by a tokenizer that decomposes it, which once took 2.5 s and 280 MB."""
    inputs = minilm.inputs
    assert isinstance(inputs, TextInputs)
    tokenizer = Tokenizer.from_buffer(inputs.tokenizer)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    decomposing = TextInputs(inputs.tensors, tokenizer.to_str().encode(), 128)
    task = TextClassification(decomposing, ("a", "b"))
    text = "\ufdfa" * 5_555
    assert task.check(text) is None
    task.encode(["warm"])
    begin = time.process_time()
    task.encode([text])
    assert time.process_time() - begin < 1


def test_text_without_a_word_is_still_a_row(task: TextClassification) -> None:
    assert task.encode([""])["attention_mask"].tolist() == [[1, 1]]


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_request_comes_back_as_its_texts(texts: list[str], minilm: SourceModel) -> None:
    task = TextClassification(minilm.inputs, ("a", "b"))
    assert task.rows(request(*(text.encode() for text in texts))) == texts
    assert len(task.encode(texts)["input_ids"]) == len(texts)


def test_bytes_that_are_no_text_are_refused(task: TextClassification) -> None:
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        task.rows(request(b"fine", b"\xff"))


def test_text_over_the_cap_is_refused_with_the_cap(task: TextClassification) -> None:
    assert task.check("x" * LONGEST) is None
    with pytest.raises(TooLargeError, match=f"at most {LONGEST:,}"):
        task.rows(request(b"x" * (LONGEST + 1)))


def test_targets_follow_the_order_of_the_labels(task: TextClassification) -> None:
    assert task.labels_of(["positive", "negative", "positive"]) == ("negative", "positive")
    assert task.targets(["positive", "negative"]).tolist() == [1, 0]
