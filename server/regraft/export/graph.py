"""torch modules as single-file ONNX graphs whose bytes depend on nothing but the model."""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import onnx

from regraft.contract import Feature, TensorSpec
from regraft.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

EXPORTER = "torch-dynamo-1"
"""Part of the key under which exports are kept: change it when exports change."""

OPSET = 20
EXAMPLE_SIZES = {"batch": 2, "length": 8}
DATATYPES = {"INT64": "int64", "INT32": "int32", "FP32": "float32", "UINT8": "uint8"}


def output_name(feature: Feature) -> str:
    """With a suffix: a graph with an inner value of the same name would not load."""
    return f"{feature.form}_out"


def export_backbone(
    module: "torch.nn.Module", tensors: Sequence[TensorSpec], feature: Feature
) -> bytes:
    """The module as ONNX, with the axes that `tensors` name left variable."""
    examples = {spec.name: _example(spec) for spec in tensors}
    axes = {spec.name: _axes(spec) for spec in tensors}
    return _export(module, examples, axes, output_name(feature))


def export_head(module: "torch.nn.Module", feature: Feature) -> bytes:
    """A head that is no single affine map, from one feature to its outputs."""
    shapes: dict[str, tuple[int | str, ...]] = {
        "pooled": ("batch", feature.size),
        "sequence": ("batch", "length", feature.size),
        "map": ("batch", feature.size, "height", "width"),
    }
    spec = TensorSpec("features", "FP32", shapes[feature.form])
    return _export(
        _with_named_input(module), {spec.name: _example(spec)}, {spec.name: _axes(spec)}, "outputs"
    )


def _with_named_input(module: "torch.nn.Module") -> "torch.nn.Module":
    """The module behind an argument called `features`, which becomes the graph's input."""
    import torch

    class NamedInput(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, features: torch.Tensor) -> Any:
            return self.inner(features)

    return NamedInput()


def _example(spec: TensorSpec) -> "torch.Tensor":
    import torch

    shape = [EXAMPLE_SIZES.get(axis, 16) if isinstance(axis, str) else axis for axis in spec.shape]
    return torch.ones(shape, dtype=getattr(torch, DATATYPES[spec.datatype]))


def _axes(spec: TensorSpec) -> dict[int, Any]:
    import torch

    return {
        position: torch.export.Dim.DYNAMIC
        for position, axis in enumerate(spec.shape)
        if isinstance(axis, str)
    }


def _export(
    module: "torch.nn.Module",
    examples: dict[str, "torch.Tensor"],
    axes: dict[str, dict[int, Any]],
    output: str,
) -> bytes:
    import torch

    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval().cpu(),
            kwargs=examples,
            dynamo=True,
            dynamic_shapes=axes,
            input_names=list(examples),
            output_names=[output],
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise UnsupportedError("torch.onnx.export gave no graph for this model.")
    return canonical_bytes(program.model_proto)


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter prints its progress and warns of its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def canonical_bytes(model: onnx.ModelProto) -> bytes:
    """The graph without what depends on where it was made: the exporter writes stack traces with
    paths into documentation and metadata."""
    model.producer_name = "regraft"
    model.producer_version = ""
    _clear(model)
    for function in model.functions:
        _clear(function)
        for node in function.node:
            _strip_node(node)
    _strip(model.graph)
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _clear(part: Any) -> None:
    part.ClearField("doc_string")
    part.ClearField("metadata_props")


def _strip(graph: onnx.GraphProto) -> None:
    for part in [graph, *graph.input, *graph.output, *graph.initializer]:
        _clear(part)
    for node in graph.node:
        _strip_node(node)


def _strip_node(node: onnx.NodeProto) -> None:
    _clear(node)
    for attribute in node.attribute:
        attribute.ClearField("doc_string")
        inner = [attribute.g] if attribute.HasField("g") else []
        for graph in [*inner, *attribute.graphs]:
            _strip(graph)
