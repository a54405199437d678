"""An ONNX graph as it is found in a file: its inputs, its outputs, and parts of it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import onnx
import onnx.utils
from onnx import TensorProto, helper

from regraft import InvalidInputError

LEAST_OPSET = 11
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Of operators that onnxruntime has."""
AFTER_LOGITS = ("Softmax", "LogSoftmax", "Sigmoid", "Identity")
ADDS = ("Add",)
PRODUCTS = ("Gemm", "MatMul")
Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Value:
    """A named tensor with its ONNX type and shape; a free axis has a name or is "?"."""

    name: str
    type: int
    shape: Shape

    def __str__(self) -> str:
        kind = TensorProto.DataType.Name(self.type).lower()
        return f"'{self.name}' {kind} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Layout:
    """Where an image's channels are, and how large it must be (None: any size)."""

    value: Value
    channels: int
    first: bool
    height: int | None
    width: int | None

    @classmethod
    def of(cls, inputs: list[Value]) -> Self | None:
        """That of the only input, if it can be an image."""
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            return None
        if inputs[0].type not in (TensorProto.FLOAT, TensorProto.UINT8):
            return None
        _, *rest = inputs[0].shape
        for first, (channels, height, width) in ((True, rest), (False, [rest[2], *rest[:2]])):
            if channels in (1, 3):
                return cls(inputs[0], int(channels), first, _fixed(height), _fixed(width))
        return None


def _fixed(axis: int | str) -> int | None:
    return axis if isinstance(axis, int) else None


@dataclass(frozen=True)
class Graph:
    """A checked graph with all of its weights in memory."""

    model: onnx.ModelProto
    sha256: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """InvalidInputError for a file that is damaged or too old."""
        try:
            # By its path: weights in other files must lie beside it, and be no links.
            onnx.checker.check_model(str(path))
            model = onnx.load(str(path))
        except Exception as error:  # protobuf's and onnx's own kinds
            raise InvalidInputError(f"{path} is no valid ONNX model: {error}") from error
        foreign = {*_domains(model.graph.node)} - DOMAINS - {f.domain for f in model.functions}
        if foreign:
            raise InvalidInputError(
                f"{path} has operators of {', '.join(sorted(foreign))}, which onnxruntime does not "
                "know of itself: export it without them."
            )
        whole = model.SerializeToString(deterministic=True)
        graph = cls(model, hashlib.sha256(whole).hexdigest())
        graph.need_opset(path, LEAST_OPSET)
        return graph

    def need_opset(self, path: Path, least: int) -> None:
        found = (o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx"))
        opset = next(found, 0)
        if opset < least:
            raise InvalidInputError(
                f"{path} is of opset {opset}; at least {least} is needed. "
                "onnx.version_converter can raise it."
            )

    @cached_property
    def inputs(self) -> list[Value]:
        """Without those that initialisers fill."""
        filled = {tensor.name for tensor in self.model.graph.initializer}
        return [_value(v) for v in self.model.graph.input if v.name not in filled]

    @cached_property
    def outputs(self) -> list[Value]:
        return [_value(value) for value in self.model.graph.output]

    @cached_property
    def value_names(self) -> set[str]:
        return {name for node in self.model.graph.node for name in node.output if name}

    def before_classifier(self) -> str | None:
        """What goes into the last matrix product, if nothing but a bias and a softmax follow."""
        makers = {name: node for node in self.model.graph.node for name in node.output}
        constants = {n.output[0] for n in self.model.graph.node if n.op_type == "Constant"}
        weights = {tensor.name for tensor in self.model.graph.initializer} | constants
        node = makers.get(self.outputs[0].name)
        while node is not None and node.op_type in (*AFTER_LOGITS, *ADDS):
            made = [name for name in node.input if name in makers and name not in constants]
            node = makers[made[0]] if len(made) == 1 else None
        if node is None or node.op_type not in PRODUCTS or node.input[1] not in weights:
            return None
        return str(node.input[0]) if node.input[0] in makers else None

    def up_to(self, output: str) -> onnx.ModelProto:
        """The part that `output` needs, its shape found by running it, the batch left variable."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        known = {value.name for value in model.graph.output}
        if output not in known:
            model.graph.output.append(helper.make_empty_tensor_value_info(output))
        kept = [value for value in model.graph.output if value.name == output]
        del model.graph.output[:]
        model.graph.output.extend(kept)
        _drop_unneeded(model.graph, output)
        for value in [*model.graph.input, *model.graph.output]:
            _free_batch(value)
        del model.graph.value_info[:]
        return model


def _domains(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Those of the nodes and of the graphs within them."""
    for node in nodes:
        yield node.domain
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _domains(graph.node)


def _value(value: onnx.ValueInfoProto) -> Value:
    tensor = value.type.tensor_type
    shape = tuple(
        d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim
    )
    return Value(value.name, tensor.elem_type, shape)


def _drop_unneeded(graph: onnx.GraphProto, output: str) -> None:
    """Only nodes and weights on the way to `output`."""
    needed, kept = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input) | _captured(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for field in (graph.initializer, graph.input):
        fitting: list[Any] = [item for item in field if item.name in needed]
        del field[:]
        field.extend(fitting)


def _captured(node: onnx.NodeProto) -> set[str]:
    """What the inner graphs of a node take from outside."""
    inner = [a.g for a in node.attribute if a.HasField("g")]
    return {n for graph in inner for sub in graph.node for n in {*sub.input, *_captured(sub)}}


def _free_batch(value: onnx.ValueInfoProto) -> None:
    dimensions = value.type.tensor_type.shape.dim
    if dimensions:
        dimensions[0].ClearField("dim_value")
        dimensions[0].dim_param = "batch"


def declare_output(model: onnx.ModelProto, shape: list[int | str]) -> None:
    """Give the only output a shape."""
    name = model.graph.output[0].name
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
