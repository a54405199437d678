"""Runs in tritonclient's own environment. Arguments: HOST:PORT MODEL FILE. Prints JSON."""

import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton

address, model, path = sys.argv[1:]
client = triton.InferenceServerClient(address)
content = Path(path).read_bytes()


def ask(name: str, array: "np.ndarray", kind: str) -> object:
    """The labels, or the status and the message of the error."""
    tensor = triton.InferInput(name, list(array.shape), kind)
    tensor.set_data_from_numpy(array)
    try:
        return [label.decode() for label in client.infer(model, [tensor]).as_numpy("label")]
    except triton.InferenceServerException as error:
        return [error.status(), error.message()]


def files(*contents: bytes) -> "np.ndarray":
    items = np.empty(len(contents), object)
    items[:] = contents
    return items


def noise(*shape: int) -> "np.ndarray":
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


print(
    json.dumps(
        {
            "inputs": client.get_model_metadata(model)["inputs"],
            "files": ask("image", files(content, content), "BYTES"),
            "pixels": ask("pixels", noise(3, 50, 60, 3), "UINT8"),
            "text": ask("image", files(b"hello"), "BYTES"),
            "truncated": ask("image", files(content[: len(content) // 2]), "BYTES"),
            "four_channels": ask("pixels", noise(1, 9, 9, 4), "UINT8"),
            "floats": ask("pixels", noise(1, 9, 9, 3).astype(np.float32), "FP32"),
        }
    )
)
