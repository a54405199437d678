"""What the protocol tells of a model: its tensors, and Triton's configuration."""

from collections.abc import Sequence
from typing import Any

from regraft.contract import Task, TensorSpec

PLATFORM = "onnx_onnxv1"

JSON = dict[str, Any]


def tensor_metadata(specs: Sequence[TensorSpec]) -> list[JSON]:
    """Tensors as model metadata tells them; an axis of variable length is -1."""
    return [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": [-1 if isinstance(axis, str) else axis for axis in spec.shape],
        }
        for spec in specs
    ]


def model_config(name: str, task: Task) -> JSON:
    """Tensors as Triton's configuration tells them, the rows among their axes."""

    def tensors(specs: Sequence[TensorSpec]) -> list[JSON]:
        return [
            {"name": spec["name"], "data_type": _config_type(spec), "dims": spec["shape"]}
            for spec in tensor_metadata(specs)
        ]

    return {
        "name": name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": 0,
        "input": tensors(task.request_tensors()),
        "output": tensors(task.response_tensors()),
    }


def _config_type(spec: JSON) -> str:
    return "TYPE_STRING" if spec["datatype"] == "BYTES" else f"TYPE_{spec['datatype']}"
