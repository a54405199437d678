"""An ONNX graph of images as a source model."""

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from regraft import Feature, ImageInputs, InvalidInputError, PixelOptions, SourceModel, TensorSpec
from regraft_onnx.graph import Graph, Layout, declare_output
from regraft_onnx.running import probed

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, by which Pillow makes grey of colour."""


class ImageGraph(SourceModel):
    """Frozen: there is no torch module behind it. Pixels are prepared within the graph."""

    modality = "image"
    trainable = False

    def __init__(
        self, reference: str, graph: Graph, layout: Layout, output: str, pixels: PixelOptions
    ) -> None:
        self.name = reference
        self.source = graph
        self.layout = layout
        self.output = output
        self.pixels = pixels
        height, width = layout.height or pixels.size, layout.width or pixels.size
        tensor = TensorSpec(self.own("pixels"), "UINT8", ("batch", height, width, 3))
        resize = pixels.resize or max(height, width)
        self.inputs = ImageInputs((tensor,), height, width, resize, pixels.squash)

    def own(self, name: str) -> str:
        """A name of ours that the graph does not have, even if it was made here."""
        return f"rg{self.source.sha256[:8]}_{name}"

    def fingerprint(self) -> str:
        whole = f"{self.source.sha256} {self.output} {self.inputs} {self.pixels!r}"
        return hashlib.sha256(whole.encode()).hexdigest()

    @cached_property
    def features(self) -> tuple[Feature, ...]:  # type: ignore[override]
        shape = probed(self.name, self.prepared(pooled=False), self.inputs)
        if len(shape) == 2:
            return (Feature("pooled", "pooled", shape[1]),)
        if len(shape) in (3, 4):
            size = shape[self._channel_axis(len(shape))]
            pooled = Feature("pooled", "pooled", size)
            mapped = len(shape) == 4 and self.layout.first
            return (pooled, Feature("map", "map", size)) if mapped else (pooled,)
        raise InvalidInputError(
            f"'{self.name}': the value '{self.output}' has the shape {list(shape)}; a vector, a "
            "sequence or a map for each row is expected."
        )

    def graph(self, feature: Feature) -> bytes:
        model = self.prepared(feature.form == "pooled")
        free = ["height", "width"] if feature.form == "map" else []
        declare_output(model, ["batch", feature.size, *free])
        return bytes(model.SerializeToString())

    def prepared(self, pooled: bool) -> onnx.ModelProto:
        """From pixels [B, H, W, 3] of 0 to 255 to the feature, of which no shape is declared."""
        model = self.source.up_to(self.output)
        nodes, weights = self._before()
        after, output = self._after(model) if pooled else ([], self.output)
        ordered = [*nodes, *model.graph.node, *after]
        del model.graph.node[:], model.graph.input[:], model.graph.output[:]
        model.graph.node.extend(ordered)
        model.graph.initializer.extend(weights)
        _, height, width, _ = self.inputs.tensors[0].shape
        model.graph.input.append(
            helper.make_tensor_value_info(
                self.own("pixels"), TensorProto.UINT8, ["batch", height, width, 3]
            )
        )
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
        return model

    def _before(self) -> tuple[list[Any], list[Any]]:
        """Nodes from pixels to the graph's own input, and their constants."""
        target, kind = self.layout.value.name, self.layout.value.type
        if kind == TensorProto.UINT8 and self.layout.channels == 3:
            last = self.own("pixels")
            nodes: list[Any] = []
            weights: dict[str, Any] = {}
        else:
            nodes, weights, last = self._scaled()
        if self.layout.first:
            nodes.append(helper.make_node("Transpose", [last], [target], perm=[0, 3, 1, 2]))
        else:
            nodes.append(helper.make_node("Identity", [last], [target]))
        arrays = [numpy_helper.from_array(value, name) for name, value in weights.items()]
        return nodes, arrays

    def _scaled(self) -> tuple[list[Any], dict[str, Any], str]:
        """Minus the mean, divided by the deviation, grey if the graph has one channel."""
        weights = {
            self.own("mean"): np.array(self.pixels.mean, np.float32),
            self.own("deviation"): np.array(self.pixels.deviation, np.float32),
        }
        nodes = [
            helper.make_node(
                "Cast", [self.own("pixels")], [self.own("float")], to=TensorProto.FLOAT
            ),
            helper.make_node("Sub", [self.own("float"), self.own("mean")], [self.own("centred")]),
            helper.make_node(
                "Div", [self.own("centred"), self.own("deviation")], [self.own("scaled")]
            ),
        ]
        if self.layout.channels == 3:
            return nodes, weights, self.own("scaled")
        weights[self.own("luma")] = LUMA[:, None]
        nodes.append(
            helper.make_node("MatMul", [self.own("scaled"), self.own("luma")], [self.own("grey")])
        )
        return nodes, weights, self.own("grey")

    def _after(self, model: onnx.ModelProto) -> tuple[list[Any], str]:
        """The mean over every axis but batch and channel."""
        rank = len(probed(self.name, self.prepared(pooled=False), self.inputs))
        if rank == 2:
            return [], self.output
        axes = [axis for axis in range(1, rank) if axis != self._channel_axis(rank)]
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        if opset < 18:
            node = helper.make_node(
                "ReduceMean", [self.output], [self.own("pooled")], axes=axes, keepdims=0
            )
            return [node], self.own("pooled")
        constant = helper.make_node(
            "Constant",
            [],
            [self.own("axes")],
            value=numpy_helper.from_array(np.array(axes, np.int64)),
        )
        mean = helper.make_node(
            "ReduceMean", [self.output, self.own("axes")], [self.own("pooled")], keepdims=0
        )
        return [constant, mean], self.own("pooled")

    def _channel_axis(self, rank: int) -> int:
        """A sequence's is the last; a map's is where the input has it."""
        return 1 if rank == 4 and self.layout.first else rank - 1

    def details(self) -> dict[str, Any]:
        return {
            "licence": "see where it comes from",
            "origin": self.name,
            "architecture": f"ONNX graph up to '{self.output}'",
            "parameters": sum(
                int(np.prod(tensor.dims))
                for tensor in self.source.up_to(self.output).graph.initializer
            ),
        }
