"""The linear head as a graph."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from regraft.contract import LinearHead
from regraft.export.head import linear_head_graph
from regraft.serving.predictor import SoftmaxHead, open_head


def made_up(classes: int = 3, size: int = 5) -> LinearHead:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(classes, size)).astype(np.float32)
    return LinearHead(weight, rng.normal(size=classes).astype(np.float32))


def softmax(head: LinearHead, features: Any) -> Any:
    powers = np.exp(features @ head.weight.T + head.bias)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("rows", [1, 2, 17])
def test_graph_says_what_numpy_and_serving_say(tmp_path: Path, rows: int) -> None:
    head, path = made_up(), tmp_path / "head.onnx"
    path.write_bytes(linear_head_graph(head))
    features = np.random.default_rng(1).normal(size=(rows, 5)).astype(np.float32)
    (outputs,) = onnxruntime.InferenceSession(path).run(None, {"features": features})
    np.testing.assert_allclose(outputs, softmax(head, features), atol=1e-6)
    served = open_head(path)
    assert isinstance(served, SoftmaxHead)
    np.testing.assert_allclose(served(features), outputs, atol=1e-6)


def test_graph_has_the_names_by_which_serving_knows_the_form() -> None:
    graph = onnx.load_from_string(linear_head_graph(made_up())).graph
    assert {tensor.name for tensor in graph.initializer} == {"weight", "bias"}
    assert [node.op_type for node in graph.node] == ["Gemm", "Softmax"]


def test_same_head_gives_the_same_bytes() -> None:
    assert linear_head_graph(made_up()) == linear_head_graph(made_up())
    assert linear_head_graph(made_up()) != linear_head_graph(made_up(classes=4))
