"""Manifests and inputs records come back as they were stored."""

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from regraft.contract import Feature, TensorSpec, TextInputs
from regraft.domain import Blob
from regraft.registry.blobs import BlobStore, CorruptBlobError
from regraft.registry.home import Home
from regraft.registry.manifest import InputsRecord, Manifest, TaskReference

INPUTS = TextInputs((TensorSpec("input_ids", "INT64", ("batch", "length")),), b"\x00tokens", 128)


@pytest.fixture
def blobs(tmp_path: Path, artifacts: str | None) -> BlobStore:
    return Home(tmp_path, artifacts).blobs


def manifest(blobs: BlobStore) -> Manifest:
    return Manifest(
        task=TaskReference(
            name="text-classification", entry_point="text", distribution="regraft", version="1"
        ),
        labels=("a", "b"),
        feature=Feature("last", "pooled", 4),
        inputs=InputsRecord.store(INPUTS, blobs),
        backbone=Blob("a" * 64, 1),
        head=Blob("b" * 64, 2),
        report=Blob("c" * 64, 3),
        parity={"rows": 64},
        lineage={"seed": 0},
    )


def test_manifest_survives_its_blob(blobs: BlobStore) -> None:
    before = manifest(blobs)
    assert Manifest.load(before.store(blobs).sha256, blobs) == before


def test_inputs_survive_with_their_bytes_as_a_blob(blobs: BlobStore) -> None:
    record = InputsRecord.model_validate_json(InputsRecord.store(INPUTS, blobs).model_dump_json())
    assert blobs.read(record.files["tokenizer"].sha256) == b"\x00tokens"
    assert record.fields == {"max_length": 128}
    assert record.restore(TextInputs, blobs) == INPUTS


def test_records_of_unlike_encoding_have_unlike_keys(blobs: BlobStore) -> None:
    longer = TextInputs(INPUTS.tensors, INPUTS.tokenizer, 256)
    keys = {InputsRecord.store(inputs, blobs).key for inputs in (INPUTS, longer, INPUTS)}
    assert len(keys) == 2


def test_lost_tokenizer_is_found_out(blobs: BlobStore) -> None:
    record = InputsRecord.store(INPUTS, blobs)
    assert blobs.remove(record.files["tokenizer"].sha256, math.inf)
    with pytest.raises(CorruptBlobError, match="missing"):
        record.restore(TextInputs, blobs)


def test_manifest_with_an_unknown_field_is_refused(blobs: BlobStore) -> None:
    content = manifest(blobs).model_dump_json().replace('"format"', '"formart"')
    with pytest.raises(ValidationError, match="formart"):
        Manifest.load(blobs.put(content.encode()).sha256, blobs)
