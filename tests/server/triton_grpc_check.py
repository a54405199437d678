"""Runs in tritonclient's own environment. Arguments: HOST:PORT MODEL. Prints one JSON document."""

import json
import sys

import grpc
import numpy as np
import tritonclient.grpc as triton

address, model = sys.argv[1:]
client = triton.InferenceServerClient(address)
texts = ["I love this", "an awful day", "日本語 ü"]


def values(answer: "triton.InferResult", names: "list[str]") -> dict:
    found = {}
    for name in names:
        array = answer.as_numpy(name)
        listed = array.ravel().tolist() if array.dtype == object else array.tolist()
        found[name] = [v.decode() if isinstance(v, bytes) else v for v in listed]
    return found


def tensor() -> "triton.InferInput":
    found = triton.InferInput("text", [len(texts)], "BYTES")
    found.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object))
    return found


def infer(outputs: "list[triton.InferRequestedOutput] | None", names: "list[str]") -> dict:
    answer = client.infer(model, [tensor()], outputs=outputs, request_id="seven")
    return {"id": answer.get_response().id, "outputs": values(answer, names)}


def refused(model: str, name: str) -> str:
    wrong = triton.InferInput(name, [1], "BYTES")
    wrong.set_data_from_numpy(np.array([b"x"], dtype=object))
    try:
        client.infer(model, [wrong])
    except triton.InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    return "answered"


def health(service: str) -> int:
    """By the generic stub: the reply is one number, in field 1."""
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary("/grpc.health.v1.Health/Check")
        asked = b"\n" + bytes([len(service)]) + service.encode() if service else b""
        reply = ask(asked, timeout=30)
    return reply[1] if reply else 0


metadata = client.get_model_metadata(model)
classes = triton.InferRequestedOutput("probabilities", class_count=2)
print(
    json.dumps(
        {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready(model),
            "server": client.get_server_metadata().name,
            "inputs": [[t.name, t.datatype, list(t.shape)] for t in metadata.inputs],
            "all": infer(None, ["label", "score", "probabilities"]),
            "some": infer([triton.InferRequestedOutput("label")], ["label"]),
            "classes": infer([classes], ["probabilities"]),
            "unknown": refused("nope", "text"),
            "wrong": refused(model, "txt"),
            "health": [health(""), health(model)],
        }
    )
)
