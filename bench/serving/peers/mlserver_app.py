"""MLServer's way to serve what it has no runtime for: a model class of one's own."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from model_of_bench import load


class OnnxModel(MLModel):
    async def load(self) -> bool:
        self.scores = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0])
        outputs = [NumpyCodec.encode_output("predict_proba", self.scores(x))]
        return InferenceResponse(model_name=self.name, outputs=outputs)
