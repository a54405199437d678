"""Transformers checkpoints as source models."""

import pickle  # noqa: TID251 - to make a file that must not be read
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from regraft.contract import TextInputs
from regraft.errors import InvalidInputError
from regraft.plugins import Plugins
from regraft_transformers.text import TextEncoder

Folder = Callable[[dict[str, Any]], Path]

IDS = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
LAZY = """
import sys
from regraft.plugins import Plugins
source = Plugins.load(["transformers"]).open_source(sys.argv[1])
source.inputs, source.fingerprint(), source.details()
print("torch" in sys.modules, "transformers" in sys.modules)
"""


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def feature_of(folder: Path, name: str | None = None, random: bool = False) -> Any:
    source = TextEncoder("checkpoint", folder, random)
    module = source.module(source.feature("pooled", name)).eval()
    with torch.no_grad():
        return module(input_ids=IDS, attention_mask=MASK).numpy()


@pytest.mark.parametrize(
    ("changes", "longest"),
    [
        ({}, 64),
        ({"tokenizer_config.json": {"model_max_length": 32}}, 32),
        ({"tokenizer_config.json": {"model_max_length": 10**30}}, 64),
        (
            {
                "tokenizer_config.json": {"model_max_length": 32},
                "sentence_bert_config.json": {"max_seq_length": 16},
            },
            16,
        ),
        ({"config.json": {"max_position_embeddings": 4096}}, 512),
    ],
)
def test_longest_length_is_the_least_that_any_file_names(
    folder: Folder, changes: dict[str, Any], longest: int
) -> None:
    assert TextEncoder("checkpoint", folder(changes), False).inputs.max_length == longest


def test_default_feature_is_the_mean_of_the_last_layers(tiny_bert: Path) -> None:
    layers = [feature_of(tiny_bert, name) for name in ("layer-1", "layer-2")]
    np.testing.assert_allclose(feature_of(tiny_bert), np.mean(layers, 0), atol=1e-6)
    names = [feature.name for feature in TextEncoder("checkpoint", tiny_bert, False).features]
    assert names == ["last-2", "layer-2", "layer-1"]


def test_feature_of_the_last_layer_is_its_masked_mean(tiny_bert: Path) -> None:
    from transformers import AutoModel

    with torch.no_grad():
        model = AutoModel.from_pretrained(tiny_bert).eval()
        hidden = model(input_ids=IDS, attention_mask=MASK).last_hidden_state.numpy()
    expected = [hidden[0].mean(0), hidden[1, :3].mean(0)]
    np.testing.assert_allclose(feature_of(tiny_bert, "layer-2"), expected, atol=1e-6)


def test_untrained_source_is_another_and_always_the_same(tiny_bert: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = feature_of(tiny_bert, random=True)
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(first, feature_of(tiny_bert, random=True))
    assert np.abs(first - feature_of(tiny_bert)).max() > 0.1
    trained, random = (TextEncoder("checkpoint", tiny_bert, r).fingerprint() for r in (False, True))
    assert trained != random


def test_reference_asks_for_the_untrained_one_by_its_suffix(
    tiny_bert: Path, plugins: Plugins
) -> None:
    for prefix in ("", "hf:"):
        source = plugins.open_source(f"{prefix}{tiny_bert}?init=random")
        assert isinstance(source, TextEncoder)
        assert source.checkpoint.random


@pytest.mark.parametrize("random", [False, True])
def test_checkpoint_without_safetensors_is_refused_with_the_way_out(
    folder: Folder, random: bool
) -> None:
    source = TextEncoder("checkpoint", folder({"model.safetensors": None}), random)
    for use in (source.fingerprint, lambda: source.module(source.features[0])):
        with pytest.raises(InvalidInputError, match=r"no \.safetensors weights.*save_pretrained"):
            use()


@pytest.mark.parametrize("beside", [True, False])
def test_pickled_weights_are_never_read(folder: Folder, tmp_path: Path, beside: bool) -> None:
    sprung = tmp_path / "sprung"
    trap: dict[str, Any] = {"pytorch_model.bin": pickle.dumps(Trap(sprung))}
    made = folder(trap if beside else trap | {"model.safetensors": None})
    if beside:
        assert np.isfinite(feature_of(made)).all()
    else:
        with pytest.raises(InvalidInputError):
            feature_of(made)
    assert not sprung.exists()


def test_code_in_a_checkpoint_is_never_run(folder: Folder, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    code = f"open({str(sprung)!r}, 'w')".encode()
    made = folder({"config.json": own, "own.py": code})
    with pytest.raises(InvalidInputError, match=r"cannot be loaded.*custom code"):
        feature_of(made)
    assert not sprung.exists()


def test_damaged_weights_are_an_input_error(folder: Folder) -> None:
    with pytest.raises(InvalidInputError, match="cannot be loaded"):
        feature_of(folder({"model.safetensors": b"damaged"}))


def test_checkpoint_without_a_tokenizer_is_refused(folder: Folder) -> None:
    source = TextEncoder("checkpoint", folder({"tokenizer.json": None}), False)
    with pytest.raises(InvalidInputError, match=r"no tokenizer\.json"):
        _ = source.inputs


def test_vocabulary_alone_is_enough_for_a_tokenizer(folder: Folder) -> None:
    from tokenizers import Tokenizer

    words = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nfilm"
    made = folder({"tokenizer.json": None, "vocab.txt": words})
    inputs = TextEncoder("checkpoint", made, False).inputs
    assert isinstance(inputs, TextInputs)
    assert Tokenizer.from_buffer(inputs.tokenizer).encode("good film").ids == [2, 5, 6, 3]


def test_config_without_layers_is_refused(folder: Folder) -> None:
    made = folder({"config.json": {"num_hidden_layers": None}})
    with pytest.raises(
        InvalidInputError, match="'bert' model without num_hidden_layers or n_layers"
    ):
        TextEncoder("checkpoint", made, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"model.safetensors": b"other"},
        {"config.json": {"hidden_act": "relu"}},
        {"tokenizer.json": b"{}"},
        {"tokenizer_config.json": {"model_max_length": 8}},
    ],
)
def test_fingerprint_changes_with_what_determines_the_outputs(
    folder: Folder, tiny_bert: Path, changes: dict[str, Any]
) -> None:
    before = TextEncoder("checkpoint", tiny_bert, False).fingerprint()
    assert TextEncoder("checkpoint", folder(changes), False).fingerprint() != before


def test_fingerprint_does_not_depend_on_the_place_or_a_readme(
    folder: Folder, tiny_bert: Path
) -> None:
    before = TextEncoder("one", tiny_bert, False).fingerprint()
    assert TextEncoder("two", folder({"README.md": b"Hello"}), False).fingerprint() == before


def test_opening_a_source_loads_neither_torch_nor_transformers(tiny_bert: Path) -> None:
    command = [sys.executable, "-c", LAZY, str(tiny_bert)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == ["False", "False"]
