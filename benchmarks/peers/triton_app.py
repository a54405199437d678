"""Triton through PyTriton, with dynamic batching and two instances: `python triton_app.py PORT`."""

import json
import sys

import numpy as np
from classifier import BATCH, WAIT, WORKERS, Classifier
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def instance():
    classifier = Classifier()

    @batch
    def predict(text):
        texts = [one.decode() for one in np.ravel(text)]
        answers = [json.dumps(answer).encode() for answer in classifier(texts)]
        return {"answer": np.array(answers, object).reshape(-1, 1)}

    return predict


if __name__ == "__main__":
    port = int(sys.argv[1])
    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, grpc_port=port + 1, allow_metrics=False
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="peer",
            infer_func=[instance() for _ in range(WORKERS)],
            inputs=[Tensor(name="text", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="answer", dtype=bytes, shape=(1,))],
            config=ModelConfig(
                max_batch_size=BATCH,
                batcher=DynamicBatcher(max_queue_delay_microseconds=int(WAIT * 1e6)),
            ),
        )
        triton.serve()
