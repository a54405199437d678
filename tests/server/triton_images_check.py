"""Runs in tritonclient's own environment. Arguments: HOST:PORT MODEL FILE. Prints JSON."""

import json
import struct
import sys
import time
import zlib
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
    begin = time.perf_counter()
    try:
        return [label.decode() for label in client.infer(model, [tensor]).as_numpy("label")]
    except triton.InferenceServerException as error:
        return [error.status(), error.message(), time.perf_counter() - begin]


def files(*contents: bytes) -> "np.ndarray":
    items = np.empty(len(contents), object)
    items[:] = contents
    return items


def grey_png(width: int, height: int) -> bytes:
    """A PNG of so many black pixels, written by hand (RFC 2083)."""
    lines = zlib.compress(bytes(height * (width + 1)), 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", lines), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


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
            "huge": ask("image", files(grey_png(8000, 6250)), "BYTES"),
            "four_channels": ask("pixels", noise(1, 9, 9, 4), "UINT8"),
            "floats": ask("pixels", noise(1, 9, 9, 3).astype(np.float32), "FP32"),
        }
    )
)
