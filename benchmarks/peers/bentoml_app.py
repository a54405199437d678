"""BentoML with adaptive batching and a worker a processor:
`bentoml serve bentoml_app:Peer --port PORT`."""

import bentoml
from classifier import BATCH, WORKERS, Classifier


@bentoml.service(workers=WORKERS, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Peer:
    def __init__(self) -> None:
        self.classifier = Classifier()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=1000)
    def predict(self, texts: list[str]) -> list[dict]:
        return self.classifier(texts)
