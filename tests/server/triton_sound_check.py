"""Runs in tritonclient's own environment. Arguments: HOST:PORT MODEL FOLDER. Prints JSON: for each
file of the folder, and for raw samples, the labels, or the status, the message and the seconds."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tritonclient.http as triton

address, model, folder = sys.argv[1:]
client = triton.InferenceServerClient(address, network_timeout=60, connection_timeout=60)


def ask(name: str, array: "np.ndarray", kind: str) -> object:
    tensor = triton.InferInput(name, list(array.shape), kind)
    tensor.set_data_from_numpy(array)
    begin = time.perf_counter()
    try:
        return [label.decode() for label in client.infer(model, [tensor]).as_numpy("label")]
    except triton.InferenceServerException as error:
        return [error.status(), error.message(), time.perf_counter() - begin]


def files(*contents: bytes) -> "np.ndarray":
    items = np.empty(len(contents), object)
    items[:] = contents
    return items


found = {
    path.name: ask("audio", files(path.read_bytes()), "BYTES")
    for path in sorted(Path(folder).iterdir())
}
noise = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 8000)).astype(np.float32)
found["raw"] = ask("samples", noise, "FP32")
found["raw of another type"] = ask("samples", noise.astype(np.int32), "INT32")
found["raw of another shape"] = ask("samples", noise[0], "FP32")
found["raw too loud"] = ask("samples", noise * 9, "FP32")
print(json.dumps({"inputs": client.get_model_metadata(model)["inputs"], **found}))
