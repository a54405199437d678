"""Runs in tritonclient's own environment. Arguments: HOST:PORT MODEL. Prints one JSON document."""

import json
import sys

import numpy as np
import tritonclient.http as triton

address, model = sys.argv[1:]
client = triton.InferenceServerClient(address)
texts = ["I love this", "an awful day", "日本語 ü"]


def infer(binary: bool, outputs: "list[str] | None" = None) -> dict:
    tensor = triton.InferInput("text", [len(texts)], "BYTES")
    encoded = np.array([text.encode() for text in texts], dtype=object)
    tensor.set_data_from_numpy(encoded, binary_data=binary)
    asked = [triton.InferRequestedOutput(name, binary_data=binary) for name in outputs or ()]
    answer = client.infer(model, [tensor], outputs=asked or None, request_id="seven")
    found = {}
    for output in answer.get_response()["outputs"]:
        array = answer.as_numpy(output["name"])
        values = array.tolist()
        if array.dtype == object:
            values = [v.decode() if isinstance(v, bytes) else v for v in values]
        found[output["name"]] = values
    return {"id": answer.get_response().get("id"), "outputs": found}


classes = triton.InferRequestedOutput("probabilities", class_count=1)
tensor = triton.InferInput("text", [len(texts)], "BYTES")
tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object))
compressed = client.infer(
    model,
    [tensor],
    outputs=[classes],
    request_compression_algorithm="gzip",
    response_compression_algorithm="deflate",
)
client.load_model(model)

print(
    json.dumps(
        {
            "classes": [v.decode() for v in compressed.as_numpy("probabilities").ravel().tolist()],
            "statistics": client.get_inference_statistics(model),
            "index": client.get_model_repository_index(),
            "config": client.get_model_config(model),
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready(model),
            "unknown_ready": client.is_model_ready("nope"),
            "server": client.get_server_metadata(),
            "metadata": client.get_model_metadata(model),
            "binary": infer(True),
            "json": infer(False, ["label", "score", "probabilities"]),
            "some": infer(True, ["label"]),
        }
    )
)
