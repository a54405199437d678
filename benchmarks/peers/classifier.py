"""One text classifier on a tokenizer and an ONNX graph, for any server: it imports nothing of ours.

The folder that `PEER_MODEL` names holds `backbone.onnx`, `head.npz` (`weight`, `bias`),
`tokenizer.json` and `labels.json`. Each process runs on `PEER_THREADS` threads.
"""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH, WAIT, WORKERS = 16, 0.005, int(os.environ.get("PEER_WORKERS", "2"))


class Classifier:
    """Texts in; the best label and every probability out."""

    def __init__(self) -> None:
        folder = Path(os.environ["PEER_MODEL"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("PEER_THREADS", "1"))
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        graph = str(folder / "backbone.onnx")
        self.session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
        self.names = [tensor.name for tensor in self.session.get_inputs()]
        head = np.load(folder / "head.npz")
        self.weight, self.bias = head["weight"], head["bias"]
        self.labels = json.loads((folder / "labels.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
        self.tokenizer.enable_truncation(256)

    def __call__(self, texts: list[str]) -> list[dict[str, object]]:
        encodings = self.tokenizer.encode_batch_fast(texts)
        given = {
            "input_ids": np.array([one.ids for one in encodings], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encodings], np.int64),
        }
        (features,) = self.session.run(None, {name: given[name] for name in self.names})
        logits = features @ self.weight.T + self.bias
        powers = np.exp(logits - logits.max(1, keepdims=True))
        shares = powers / powers.sum(1, keepdims=True)
        return [
            {
                "label": self.labels[best],
                "probabilities": dict(zip(self.labels, map(float, row), strict=False)),
            }
            for best, row in zip(shares.argmax(1), shares, strict=False)
        ]
