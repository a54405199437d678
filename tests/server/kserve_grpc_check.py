"""Runs in kserve's own environment. Arguments: HOST:PORT MODEL. Prints one JSON document."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest

address, model = sys.argv[1:]
texts = ["I love this", "an awful day", "日本語 ü"]


def request(raw: bool) -> InferRequest:
    tensor = InferInput("text", [len(texts)], "BYTES")
    encoded = np.array([text.encode() for text in texts], dtype=object)
    if raw:
        tensor.set_data_from_numpy(encoded, binary_data=True)
    else:
        tensor.data = [text.encode() for text in texts]
    return InferRequest(model_name=model, infer_inputs=[tensor], request_id="seven")


async def main() -> None:
    client = InferenceGRPCClient(address, timeout=30)
    found = {
        "live": await client.is_server_live(),
        "ready": await client.is_server_ready(),
        "model_ready": await client.is_model_ready(model),
    }
    for name, raw in (("raw", True), ("contents", False)):
        answer = await client.infer(request(raw))
        found[name] = {
            output.name: [
                value.decode() if isinstance(value, bytes) else value
                for value in np.asarray(output.as_numpy()).tolist()
            ]
            for output in answer.outputs
        }
    await client.close()
    print(json.dumps(found))


asyncio.run(main())
