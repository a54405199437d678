"""What a model is given in training and in serving is the same, to the last bit, for real files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regraft.cli.demo_data import stamps, tones
from regraft.data.load import load_dataset
from regraft.domain import AdaptationSpec, Examples
from regraft.plugins import Plugins
from regraft.registry.blobs import BlobStore
from regraft.registry.manifest import InputsRecord
from regraft.serving import protocol
from regraft.settings import Settings
from tests.conftest import CACHE

FILES = 20
ASKED: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "image-classification": (stamps, {"source": "efficientnet-lite0"}),
    "audio-classification": (
        tones,
        {"source": "whisper-tiny-en", "group_column": "syllable", "limit_rows": 60},
    ),
}


def training_rows(task: str, plugins: Plugins) -> Examples:
    """Real files as training gets them."""
    fetch, asked = ASKED[task]
    spec = AdaptationSpec(name="x", data=str(fetch(CACHE)), task=task, **asked)
    train = load_dataset(spec, plugins.task(task), Settings()).train
    chosen = np.random.default_rng(0).permutation(len(train))[:FILES]
    return train.take(chosen)


def as_served(contents: list[bytes], name: str) -> dict[str, Any]:
    """The tensors of a binary request that carries these files."""
    size = sum(len(content) + 4 for content in contents)
    head = {"name": name, "datatype": "BYTES", "shape": [len(contents)]}
    text = json.dumps({"inputs": [{**head, "parameters": {"binary_data_size": size}}]}).encode()
    body = text + b"".join(len(c).to_bytes(4, "little") + c for c in contents)
    tensors: dict[str, Any] = dict(protocol.parse_infer(body, len(text), sys.maxsize).tensors)
    return tensors


@pytest.mark.parametrize("name", sorted(ASKED))
def test_files_give_the_same_tensors_in_training_and_in_serving(
    name: str, plugins: Plugins, tmp_path: Path
) -> None:
    rows = training_rows(name, plugins)
    assert len(rows) == FILES
    kind, source = plugins.task(name), plugins.open_source(ASKED[name][1]["source"])
    trained = kind(source.inputs, ("a", "b")).encode([rows.inputs[i] for i in range(FILES)])

    blobs = BlobStore(tmp_path)
    record = InputsRecord.store(source.inputs, blobs).model_dump_json()
    restored = InputsRecord.model_validate_json(record).restore(kind.inputs_type, blobs)
    serving = kind(restored, ("a", "b"))
    (tensor,) = serving.request_tensors()
    asked = as_served([bytes(rows.inputs[i]) for i in range(FILES)], tensor.name)
    served = serving.encode(serving.rows(asked))
    assert trained.keys() == served.keys()
    for part, array in trained.items():
        np.testing.assert_array_equal(array, served[part])
