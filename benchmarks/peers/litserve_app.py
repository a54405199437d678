"""LitServe with dynamic batching and a worker a processor: `python litserve_app.py PORT`."""

import sys

import litserve
from classifier import BATCH, WAIT, WORKERS, Classifier


class API(litserve.LitAPI):
    def setup(self, device):
        self.classifier = Classifier()

    def decode_request(self, request):
        return request["text"]

    def predict(self, texts):
        return self.classifier(texts)

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    api = API(max_batch_size=BATCH, batch_timeout=WAIT)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )
