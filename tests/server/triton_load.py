"""Runs in tritonclient's own environment: one request after another, binary as by default.

Arguments: HOST:PORT MODEL SECONDS RATE. Prints one JSON document.
"""

import json
import sys
import time

import numpy as np
import tritonclient.http as triton

address, model, seconds, rate = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
client = triton.InferenceServerClient(address)
tensor = triton.InferInput("text", [2], "BYTES")
tensor.set_data_from_numpy(np.array([b"what a day", b"so bad"], dtype=object))
answered, failures, end = 0, [], time.monotonic() + seconds
while time.monotonic() < end:
    begin = time.monotonic()
    try:
        answer = client.infer(model, [tensor])
        answered += len(answer.as_numpy("label")) == 2
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        failures.append(repr(error))
    time.sleep(max(0.0, 1 / rate - (time.monotonic() - begin)))
print(json.dumps({"answered": answered, "failures": failures}))
