# MLServer's way to serve a model of one's own.
import os

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from session import open_session


class OnnxModel(MLModel):
    async def load(self) -> bool:
        self.session, self.input, self.output = open_session(os.environ["BENCH_MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        values = NumpyCodec.decode_input(payload.inputs[0])
        answer = self.session.run([self.output], {self.input: values})[0]
        outputs = [NumpyCodec.encode_output(self.output, answer)]
        return InferenceResponse(model_name=self.name, model_version="1", outputs=outputs)
