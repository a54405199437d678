"""Runs in kserve's own environment. Arguments: URL MODEL. Prints one JSON document."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

url, model = sys.argv[1:]
texts = ["I love this", "an awful day", "日本語 ü"]


def request(binary: bool) -> InferRequest:
    tensor = InferInput("text", [len(texts)], "BYTES")
    if binary:
        encoded = np.array([text.encode() for text in texts], dtype=object)
        tensor.set_data_from_numpy(encoded, binary_data=True)
    else:
        tensor.data = texts
    return InferRequest(model_name=model, infer_inputs=[tensor], request_id="seven")


async def main() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    found = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, model),
    }
    for name, binary in (("binary", True), ("json", False)):
        answer = await client.infer(url, request(binary), model_name=model)
        found[name] = {
            output.name: [
                value.decode() if isinstance(value, bytes) else value
                for value in np.asarray(output.as_numpy()).tolist()
            ]
            for output in answer.outputs
        }
    print(json.dumps(found))


asyncio.run(main())
