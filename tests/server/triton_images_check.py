"""Runs in tritonclient's own environment. Arguments: HOST:PORT MODEL FILE. Prints JSON."""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from triton_ask import Asked, files

address, model, path = sys.argv[1:]
asked = Asked(address, model)
content = Path(path).read_bytes()


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
            "inputs": asked.inputs(),
            "files": asked.ask("image", files(content, content), "BYTES"),
            "pixels": asked.ask("pixels", noise(3, 50, 60, 3), "UINT8"),
            "text": asked.ask("image", files(b"hello"), "BYTES"),
            "truncated": asked.ask("image", files(content[: len(content) // 2]), "BYTES"),
            "huge": asked.ask("image", files(grey_png(8000, 6250)), "BYTES"),
            "four_channels": asked.ask("pixels", noise(1, 9, 9, 4), "UINT8"),
            "floats": asked.ask("pixels", noise(1, 9, 9, 3).astype(np.float32), "FP32"),
        }
    )
)
