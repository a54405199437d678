"""A graph in less precision: smaller, and faster where the machine is."""

import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime

from regraft.contract import Array, Arrays
from regraft.domain import Blob
from regraft.errors import UnsupportedError
from regraft.export.frozen import kept
from regraft.export.graph import canonical_bytes
from regraft.registry.home import Home
from regraft.serving.instructions import saturating
from regraft.serving.sessions import CPU, session_options

Precision = Literal["int8", "fp16"]
QUANTISED = ("MatMul", "Gemm")
"""Convolutions of integers can be ten times slower."""


def int8_graph(graph: bytes, bits: int = 8, left_out: Sequence[str] = ()) -> bytes:
    """Products with constant weights as products of 8-bit integers, of which the weights take 8
    bits or 7: they are scaled by channel, what they are multiplied with by each batch. Those of
    these names stay as they are. UnsupportedError where there are none."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(graph)
        quantize_dynamic(
            before,
            after,
            per_channel=True,
            reduce_range=bits == 7,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=list(left_out),
            extra_options={"MatMulConstBOnly": True},
        )
        found = onnx.load(str(after))
    if not any(node.op_type == "DynamicQuantizeLinear" for node in found.graph.node):
        raise UnsupportedError("the backbone has no matrix product with constant weights")
    return canonical_bytes(found)


def fp16_graph(graph: bytes) -> bytes:
    """Inner values and weights as 16-bit floats; inputs and outputs stay as they are."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with _quiet():
        found = OnnxModel(
            convert_float_to_float16(onnx.load_from_string(graph), keep_io_types=True)
        )
        found.topological_sort()
    return canonical_bytes(found.model)


def by_error(graph: bytes, batch: Arrays) -> list[str]:
    """The names of the products, first those for whose input 255 steps are the coarsest: between
    its extremes in this batch, beside its root mean square."""
    model = onnx.load_from_string(graph)
    constant = {tensor.name for tensor in model.graph.initializer}
    inputs = {
        node.name: node.input[0]
        for node in model.graph.node
        if node.op_type in QUANTISED and node.input[1] in constant
    }
    wanted = list(dict.fromkeys(inputs.values()))
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options(1), CPU)
    given = {tensor.name: batch[tensor.name] for tensor in session.get_inputs()}
    errors = {
        name: _step(np.asarray(found))
        for name, found in zip(wanted, session.run(wanted, given), strict=True)
    }
    return sorted(inputs, key=lambda name: -errors[inputs[name]])


def _step(values: Array) -> float:
    return float(np.ptp(values) / np.sqrt(np.square(values, dtype=np.float64).mean() or 1.0))


def in_precision(
    precision: Precision, backbone: Blob, home: Home, left_out: Sequence[str] = ()
) -> Blob:
    """The backbone in this precision for processors like this one, made if it never was."""
    bits = 7 if saturating() else 8

    def graph() -> bytes:
        plain = home.blobs.read(backbone.sha256)
        return int8_graph(plain, bits, left_out) if precision == "int8" else fp16_graph(plain)

    return kept(f"{backbone.sha256} {precision} {bits} {sorted(left_out)}", graph, home).blob


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime's tools print, and tell the root logger of every node."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
