"""Graphs in less precision say nearly the same, and are the same for the same graph."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from regraft.domain import Blob
from regraft.errors import UnsupportedError
from regraft.export.graph import canonical_bytes
from regraft.export.precision import by_error, fp16_graph, in_precision, int8_graph
from regraft.registry.home import Home
from regraft.serving.sessions import CPU

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(64, 48)).astype(np.float32)
ROWS = RNG.normal(size=(5, 64)).astype(np.float32)


def graph(constant: bool = True) -> bytes:
    """A matrix product, with a constant or with itself."""
    other = ["weight"] if constant else ["turned"]
    nodes = [helper.make_node("MatMul", ["rows", *other], ["product"])]
    if not constant:
        nodes.insert(0, helper.make_node("Transpose", ["rows"], ["turned"]))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "product",
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", 64])],
            [helper.make_tensor_value_info("product", TensorProto.FLOAT, ["batch", "width"])],
            [numpy_helper.from_array(WEIGHT, "weight")] if constant else [],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    return canonical_bytes(model)


def say(content: bytes) -> Any:
    session = onnxruntime.InferenceSession(content, providers=CPU)
    return session.run(None, {"rows": ROWS})[0]


@pytest.mark.parametrize(
    ("convert", "share", "error"),
    [(lambda content: int8_graph(content, 7), 0.3, 0.03), (fp16_graph, 0.55, 1e-2)],
)
def test_less_precision_is_smaller_and_near(convert: Any, share: float, error: float) -> None:
    before = graph()
    after = convert(before)
    assert after == convert(before)
    assert len(after) < share * len(before) + 1500
    found = say(after)
    assert found.dtype == np.float32
    assert np.abs(found - ROWS @ WEIGHT).max() < error * np.abs(ROWS @ WEIGHT).max()


def test_graph_without_constant_weights_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="no matrix product with constant weights"):
        int8_graph(graph(constant=False))


def test_product_of_the_widest_input_comes_first_and_can_stay_as_it_is() -> None:
    nodes = [
        helper.make_node("MatMul", ["rows", "weight"], ["product"], "calm"),
        helper.make_node("Pow", ["rows", "power"], ["wide"]),
        helper.make_node("MatMul", ["wide", "weight"], ["other"], "wild"),
        helper.make_node("Add", ["product", "other"], ["sum"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "products",
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", 64])],
            [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch", 48])],
            [
                numpy_helper.from_array(WEIGHT, "weight"),
                numpy_helper.from_array(np.float32(5), "power"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    content = canonical_bytes(model)
    assert by_error(content, {"rows": ROWS}) == ["wild", "calm"]
    kinds = [n.op_type for n in onnx.load_from_string(int8_graph(content, 7, ["wild"])).graph.node]
    assert (kinds.count("MatMulInteger"), kinds.count("MatMul")) == (1, 1)


def test_a_backbone_is_converted_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    backbone: Blob = home.blobs.put(graph())
    first = in_precision("int8", backbone, home)
    monkeypatch.setattr("regraft.export.precision.int8_graph", None)
    assert in_precision("int8", backbone, home) == first


@pytest.mark.parametrize(
    ("able", "bits"),
    [(("x86_64", "avx2"), 7), (("x86_64", "avx2", "avx512_vnni"), 8), (("aarch64",), 8)],
)
def test_weights_take_7_bits_where_8_would_overflow(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, able: tuple[str, ...], bits: int
) -> None:
    monkeypatch.setattr("regraft.serving.instructions.instructions", lambda: able)
    home = Home(tmp_path)
    found = onnx.load_from_string(
        home.blobs.read(in_precision("int8", home.blobs.put(graph()), home).sha256)
    )
    (weight,) = [
        numpy_helper.to_array(tensor)
        for tensor in found.graph.initializer
        if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 2
    ]
    assert np.abs(weight.astype(int)).max() == 2 ** (bits - 1) - (bits == 8)
