"""Runs in tritonclient's own environment. Arguments: HOST:PORT MODEL FOLDER. Prints JSON: for each
file of the folder, and for raw samples, the labels, or the status, the message and the seconds."""

import json
import sys
from pathlib import Path

import numpy as np
from triton_ask import Asked, files

address, model, folder = sys.argv[1:]
asked = Asked(address, model)
found = {
    path.name: asked.ask("audio", files(path.read_bytes()), "BYTES")
    for path in sorted(Path(folder).iterdir())
}
noise = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 8000)).astype(np.float32)
found["raw"] = asked.ask("samples", noise, "FP32")
found["raw of another type"] = asked.ask("samples", noise.astype(np.int32), "INT32")
found["raw of another shape"] = asked.ask("samples", noise[0], "FP32")
found["raw too loud"] = asked.ask("samples", noise * 9, "FP32")
print(json.dumps({"inputs": asked.inputs(), **found}))
