"""A linear head as ONNX: features · weightᵀ + bias, then softmax."""

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from regraft.contract import LinearHead
from regraft.export.graph import OPSET, canonical_bytes

if TYPE_CHECKING:
    from torch import nn

IR_VERSION = 10
LEAST = 1e-12
"""The least probability whose logarithm is taken."""


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


def cooled(head: "LinearHead | nn.Module", temperature: float) -> "LinearHead | nn.Module":
    """A head whose logits are divided by the temperature; of a module, whose outputs are
    probabilities, their logarithms are."""
    if isinstance(head, LinearHead):
        weight, bias = (array / temperature for array in (head.weight, head.bias))
        return LinearHead(weight.astype(np.float32), bias.astype(np.float32))
    import torch
    from torch import nn

    whole = head

    class Cooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = whole

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = self.inner(features).clamp_min(LEAST)
            return (outputs.log() / temperature).softmax(-1)

    return Cooled()
