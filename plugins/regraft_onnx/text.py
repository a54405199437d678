"""An ONNX graph of text as a source model; its tokenizer lies beside it."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from regraft import Feature, InvalidInputError, SourceModel, TensorSpec, TextInputs
from regraft_onnx.graph import Graph, declare_output
from regraft_onnx.running import probed

LONGEST = 512
NAMES = ("input_ids", "attention_mask")


class TextGraph(SourceModel):
    """Frozen: there is no torch module behind it. States of tokens are averaged."""

    modality = "text"
    trainable = False
    inputs: TextInputs

    def __init__(self, reference: str, graph: Graph, path: Path, output: str) -> None:
        self.name = reference
        self.source = graph
        self.output = output
        tokenizer = path.parent / "tokenizer.json"
        if not tokenizer.is_file():
            raise InvalidInputError(f"'{reference}': there is no tokenizer.json beside {path}.")
        tensors = tuple(TensorSpec(name, "INT64", ("batch", "length")) for name in NAMES)
        self.inputs = TextInputs(tensors, tokenizer.read_bytes(), LONGEST)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.source.sha256} {self.output}".encode())
        digest.update(self.inputs.tokenizer)
        return digest.hexdigest()

    @cached_property
    def features(self) -> tuple[Feature, ...]:  # type: ignore[override]
        shape = probed(self.name, self.prepared(pooled=False), self.inputs)
        if len(shape) not in (2, 3):
            raise InvalidInputError(
                f"'{self.name}': the value '{self.output}' has the shape {list(shape)}; a vector "
                "for each text or for each token is expected."
            )
        return (Feature("pooled", "pooled", shape[-1]),)

    def graph(self, feature: Feature) -> bytes:
        rank = len(probed(self.name, self.prepared(pooled=False), self.inputs))
        model = self.prepared(pooled=rank == 3)
        declare_output(model, ["batch", feature.size])
        return bytes(model.SerializeToString())

    def prepared(self, pooled: bool) -> onnx.ModelProto:
        """From ids and mask [B, T] to the output, or to its mean over the real tokens."""
        model = self.source.up_to(self.output)
        before, prefix = self._token_types(model), f"rg{self.source.sha256[:8]}_"
        after = masked_mean(self.output, prefix) if pooled else []
        output = f"{prefix}pooled" if pooled else self.output
        ordered = [*before, *model.graph.node, *after]
        del model.graph.node[:], model.graph.input[:], model.graph.output[:]
        model.graph.node.extend(ordered)
        model.graph.input.extend(
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
            for name in NAMES
        )
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
        return model

    def _token_types(self, model: onnx.ModelProto) -> list[Any]:
        """Zeros, if the graph wants them."""
        if all(value.name != "token_type_ids" for value in model.graph.input):
            return []
        return [helper.make_node("Sub", ["input_ids", "input_ids"], ["token_type_ids"])]

    def details(self) -> dict[str, Any]:
        return {
            "licence": "see where it comes from",
            "origin": self.name,
            "architecture": f"ONNX graph up to '{self.output}'",
        }


def masked_mean(output: str, prefix: str) -> list[Any]:
    """Sums over the tokens by products with the mask: [B, 1, T] · [B, T, D]. `prefix` begins the
    names of its values, the last of which is `pooled`."""
    one = numpy_helper.from_array(np.array([1], np.int64))
    return [
        helper.make_node("Cast", ["attention_mask"], [f"{prefix}mask"], to=TensorProto.FLOAT),
        helper.make_node("Constant", [], [f"{prefix}one"], value=one),
        helper.make_node("Unsqueeze", [f"{prefix}mask", f"{prefix}one"], [f"{prefix}row"]),
        helper.make_node("MatMul", [f"{prefix}row", output], [f"{prefix}sum"]),
        helper.make_node("Squeeze", [f"{prefix}sum", f"{prefix}one"], [f"{prefix}flat"]),
        helper.make_node("Constant", [], [f"{prefix}axis"], value=one),
        helper.make_node(
            "ReduceSum", [f"{prefix}mask", f"{prefix}axis"], [f"{prefix}count"], keepdims=1
        ),
        helper.make_node("Div", [f"{prefix}flat", f"{prefix}count"], [f"{prefix}pooled"]),
    ]
