"""A linear head as ONNX: features · weightᵀ + bias, then softmax."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from regraft.contract import LinearHead
from regraft.export.graph import OPSET, canonical_bytes

IR_VERSION = 10


def linear_head_graph(head: LinearHead) -> bytes:
    """`features` [B, D] in, `outputs` [B, C] out.

    The initialisers are `weight` and `bias`, by which serving recognises the form.
    """
    classes, size = head.weight.shape
    nodes = [
        helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"], "affine", transB=1),
        helper.make_node("Softmax", ["logits"], ["outputs"], "softmax", axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "linear_head",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", size])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["batch", classes])],
        [
            numpy_helper.from_array(head.weight.astype(np.float32), "weight"),
            numpy_helper.from_array(head.bias.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    return canonical_bytes(model)
