"""torch modules as single-file ONNX graphs whose bytes depend on nothing but the model."""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import onnx
import onnx.utils

from regraft.contract import Feature, Inputs, TensorSpec
from regraft.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

EXPORTER = "torch-dynamo-1"
"""Part of the key under which exports are kept: change it when exports change."""

OPSET = 20
BATCH, LENGTH = 2, 8
"""Of the example that is traced; 1 and 0 would become constants."""


def output_names(features: Sequence[Feature]) -> list[str]:
    """With a suffix: a graph with an inner value of the same name would not load."""
    if len(features) == 1:
        return [f"{features[0].form}_out"]
    return [f"{feature.form}_out_{position}" for position, feature in enumerate(features)]


def export_backbone(module: "torch.nn.Module", inputs: Inputs, *features: Feature) -> bytes:
    """The module as ONNX with an output a feature, the axes that the tensors name left variable."""
    return _export(module, inputs, output_names(features))


def cut_out(graph: bytes, position: int) -> bytes:
    """The graph without what only its other outputs need."""
    model = onnx.load_from_string(graph)
    chosen = model.graph.output[position]
    extractor = onnx.utils.Extractor(model)
    part = extractor.extract_model([tensor.name for tensor in model.graph.input], [chosen.name])
    return canonical_bytes(part)


def export_head(module: "torch.nn.Module", feature: Feature) -> bytes:
    """A head that is no single affine map, from one feature to its outputs."""
    shapes: dict[str, tuple[int | str, ...]] = {
        "pooled": ("batch", feature.size),
        "sequence": ("batch", "length", feature.size),
        "map": ("batch", feature.size, "height", "width"),
    }
    spec = TensorSpec("features", "FP32", shapes[feature.form])
    return _export(_with_named_input(module), Inputs((spec,)), ["outputs"])


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


def _axes(spec: TensorSpec) -> dict[int, Any]:
    import torch

    return {
        position: torch.export.Dim.DYNAMIC
        for position, axis in enumerate(spec.shape)
        if isinstance(axis, str)
    }


def _export(module: "torch.nn.Module", inputs: Inputs, outputs: list[str]) -> bytes:
    import torch

    made_up = inputs.example(BATCH, LENGTH)
    examples = {spec.name: torch.from_numpy(made_up[spec.name]) for spec in inputs.tensors}
    axes = {spec.name: _axes(spec) for spec in inputs.tensors}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval().cpu(),
            kwargs=examples,
            dynamo=True,
            dynamic_shapes=axes,
            input_names=list(examples),
            output_names=outputs,
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
