"""ONNX graphs as source models: which input and output are meant, and what cannot be used."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from regraft.adaptations.context import Context
from regraft.adaptations.run import run
from regraft.contract import SourceModel
from regraft.domain import AdaptationSpec
from regraft.errors import InvalidInputError
from regraft.export.frozen import frozen_backbone
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.registry.store import Registry
from regraft.serving.predictor import Backbone
from regraft.serving.sessions import Runtime
from regraft.settings import Settings
from regraft.testing import check_source_model
from regraft_onnx.graph import Graph

Save = Callable[..., Path]


class Classifier(nn.Module):
    """A convolution, its mean, and a last layer with a softmax."""

    def __init__(self, channels: int = 3, last: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 6, 3, 2)
        self.linear = nn.Linear(6, 4)
        self.last = last

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        channels = image.permute(0, 3, 1, 2) if self.last else image
        return self.linear(self.convolution(channels).relu().mean((2, 3))).softmax(-1)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def make(module: nn.Module, *shape: int) -> Path:
        torch.manual_seed(0)
        axes = ({0: torch.export.Dim.DYNAMIC},)
        program: Any = torch.onnx.export(
            module.eval(), (torch.zeros(shape),), dynamo=True, dynamic_shapes=axes, verbose=False
        )
        path = tmp_path / "model.onnx"
        program.save(path)
        return path

    return make


def served(source: SourceModel, home: Home) -> Backbone:
    blob = frozen_backbone(source, source.features[0], home).blob
    return Backbone(home.blobs.path(blob.sha256), Runtime())


@pytest.mark.parametrize("prefix", ["", "onnx:"])
def test_feature_is_what_the_last_classifier_gets(
    save: Save, plugins: Plugins, tmp_path: Path, prefix: str
) -> None:
    module = Classifier()
    path = save(module, 2, 3, 32, 32)
    source = plugins.open_source(f"{prefix}{path}?mean=10,20,30&deviation=2")
    assert [(f.form, f.size) for f in source.features] == [("pooled", 6)]
    check_source_model(source)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    found = served(source, Home(tmp_path / "home").create()).features(
        {source.inputs.tensors[0].name: pixels}
    )
    scaled = (torch.from_numpy(pixels).float() - torch.tensor([10.0, 20, 30])) / 2
    expected = module.convolution(scaled.permute(0, 3, 1, 2)).relu().mean((2, 3))
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-3)


def test_channels_last_and_grey_are_seen(save: Save, plugins: Plugins, tmp_path: Path) -> None:
    module = Classifier(1, last=True)
    source = plugins.open_source(f"{save(module, 2, 24, 20, 1)}?mean=0&deviation=255")
    assert source.inputs.tensors[0].shape == ("batch", 24, 20, 3)
    pixels = np.full((1, 24, 20, 3), 51, np.uint8)
    found = served(source, Home(tmp_path / "home").create()).features(
        {source.inputs.tensors[0].name: pixels}
    )
    expected = module.convolution(torch.full((1, 1, 24, 20), 0.2)).relu().mean((2, 3))
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)


def test_inner_value_can_be_named_and_gives_a_map(save: Save, plugins: Plugins) -> None:
    path = save(Classifier(), 2, 3, 32, 32)
    relu = next(n for n in onnx.load(path).graph.node if n.op_type == "Relu").output[0]
    source = plugins.open_source(f"onnx:{path}#{relu}")
    assert [(f.form, f.size) for f in source.features] == [("pooled", 6), ("map", 6)]
    check_source_model(source)
    assert source.fingerprint() != plugins.open_source(str(path)).fingerprint()


def test_there_is_no_module_behind_a_graph(save: Save, plugins: Plugins) -> None:
    source = plugins.open_source(str(save(Classifier(), 2, 3, 32, 32)))
    assert source.module(source.features[0]) is None


def test_text_encoder_is_opened_with_the_tokenizer_beside_it(
    plugins: Plugins, exported: Home, tiny_bert: Path, tmp_path: Path
) -> None:
    """Features of a graph are those of the checkpoint that it was exported from."""
    original = plugins.open_source(str(tiny_bert))
    blob = frozen_backbone(original, original.features[0], exported).blob
    path = tmp_path / "encoder.onnx"
    shutil.copy(exported.blobs.path(blob.sha256), path)
    with pytest.raises(InvalidInputError, match=r"no tokenizer\.json beside"):
        plugins.open_source(str(path))
    shutil.copy(tiny_bert / "tokenizer.json", tmp_path)
    source = plugins.open_source(str(path))
    check_source_model(source)
    batch = source.inputs.example(2, 8)
    one, two = (served(s, Home(tmp_path / "home").create()) for s in (source, original))
    np.testing.assert_allclose(one.features(batch), two.features(batch), atol=1e-5)


def test_states_of_tokens_are_averaged_over_the_real_ones(
    plugins: Plugins, tmp_path: Path, tiny_bert: Path
) -> None:
    class Tokens(nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return torch.stack([input_ids * 1.0, input_ids * attention_mask * 2.0], -1)

    one, free = torch.ones(2, 8, dtype=torch.long), torch.export.Dim.DYNAMIC  # not one twice
    axes = ({0: free, 1: free},) * 2
    program: Any = torch.onnx.export(
        Tokens(), (one, one.clone()), dynamo=True, dynamic_shapes=axes, verbose=False
    )
    program.save(tmp_path / "tokens.onnx")
    shutil.copy(tiny_bert / "tokenizer.json", tmp_path)
    source = plugins.open_source(str(tmp_path / "tokens.onnx"))
    check_source_model(source)
    batch = {"input_ids": np.array([[4, 6, 9]]), "attention_mask": np.array([[1, 1, 0]])}
    found = served(source, Home(tmp_path / "home").create()).features(batch)
    np.testing.assert_allclose(found, [[5, 10]])


def plain(path: Path, inputs: list[Any], outputs: list[Any], nodes: list[Any]) -> str:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return str(path)


def tensor(name: str, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_unusual_inputs_and_several_outputs_are_listed(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    node = helper.make_node("Add", ["a", "b"], ["c"])
    plain(path, [tensor("a", "n", 5), tensor("b", "n", 5)], [tensor("c", "n", 5)], [node])
    with pytest.raises(InvalidInputError, match=r"inputs are: 'a' float \[n, 5\]; 'b' float"):
        plugins.open_source(str(path))
    nodes = [helper.make_node(op, ["a"], [op]) for op in ("Relu", "Exp")]
    plain(path, [tensor("a", "n", 3, 8, 8)], [tensor("Relu"), tensor("Exp")], nodes)
    for suffix, message in (("", "several outputs: 'Relu'"), ("#Log", "no value 'Log'")):
        with pytest.raises(InvalidInputError, match=f"{message}.*onnx:FILE#OUTPUT"):
            plugins.open_source(f"onnx:{path}{suffix}")
    assert plugins.open_source(f"onnx:{path}#Exp").features[0].size == 3


def test_graph_for_one_row_alone_is_refused(plugins: Plugins, tmp_path: Path) -> None:
    shape = helper.make_node("Constant", [], ["shape"], value_ints=[1, -1])
    nodes = [shape, helper.make_node("Reshape", ["a", "shape"], ["flat"])]
    path = tmp_path / "one.onnx"
    plain(path, [tensor("a", 1, 3, 8, 8)], [tensor("flat", 1, 192)], nodes)
    source = plugins.open_source(str(path))
    with pytest.raises(InvalidInputError, match="batch of two"):
        source.features  # noqa: B018 - it is computed when it is asked for


@pytest.mark.parametrize("content", [None, b"", b"not a graph", b"\x08\x07"])
def test_file_that_is_no_graph_is_refused(
    plugins: Plugins, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"no file|no valid ONNX model|is of opset"):
        plugins.open_source(str(path))


def test_model_of_a_graph_is_held_against_the_graph_as_it_is(
    save: Save, plugins: Plugins, shapes: Path, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "home")
    spec = AdaptationSpec(
        name="shapes",
        data=str(shapes),
        task="image-classification",
        source=f"{save(Classifier(), 2, 3, 32, 32)}?deviation=64",
        split=(0.6, 0.2, 0.2),
    )
    adaptation, _ = registry.runs.submit(spec)
    settings = Settings(home=registry.home.root, threads=1)
    result = run(Context(adaptation, registry, plugins, settings)).result
    assert result is not None
    assert result["parity"]["rows"] == 30
    assert result["parity"]["argmax_agreement"] == 1


def _with_weights_at(path: Path, location: str) -> Path:
    """A graph that adds a weight which lies in another file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", "16")):
        weight.external_data.add(key=key, value=value)
    value = helper.make_tensor_value_info
    ends = [value(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    add = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([add], "g", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_weights_in_other_files_lie_beside_the_graph_and_are_no_links(
    tmp_path: Path, plugins: Plugins
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(16))
    (folder / "soft").symlink_to(secret)
    os.link(secret, folder / "hard")
    for number, location in enumerate((str(secret), "../secret", "soft", "hard", "nosuch")):
        path = _with_weights_at(folder / f"{number}.onnx", location)
        with pytest.raises(InvalidInputError, match="no valid ONNX model"):
            plugins.open_source(f"onnx:{path}")
    (folder / "weights").write_bytes(bytes(16))
    beside = _with_weights_at(folder / "beside.onnx", "weights")
    assert Graph.read(beside).inputs[0].shape == ("n", 4)


def test_operators_that_onnxruntime_lacks_are_refused(tmp_path: Path, plugins: Plugins) -> None:
    value = helper.make_tensor_value_info
    ends = [value(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    inner = helper.make_graph(
        [helper.make_node("Evil", ["x"], ["z"], domain="evil.ops")],
        "inner",
        [],
        [value("z", TensorProto.FLOAT, ["n", 4])],
    )
    condition = helper.make_node(
        "Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True])
    )
    either = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([condition, either], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil.ops", 1)]
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    with pytest.raises(InvalidInputError, match=r"has operators of evil\.ops"):
        plugins.open_source(f"onnx:{path}")
