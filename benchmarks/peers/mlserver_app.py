"""An MLServer runtime; batching and workers are in the settings that the benchmark writes."""

import json

import numpy as np
from classifier import Classifier
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Peer(MLModel):
    async def load(self) -> bool:
        self.classifier = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = [str(text) for text in np.ravel(StringCodec.decode_input(payload.inputs[0]))]
        answers = [json.dumps(answer) for answer in self.classifier(texts)]
        output = StringCodec.encode_output("answer", answers)
        return InferenceResponse(model_name=self.name, outputs=[output])
