# KServe's Python server. Its line of log for each request is off: it costs a tenth.
import logging
import os

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from session import open_session


class OnnxModel(Model):
    def __init__(self, name):
        super().__init__(name)
        self.session, self.input, self.output = open_session(os.environ["BENCH_MODEL"])
        self.ready = True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        answer = self.session.run([self.output], {self.input: payload.inputs[0].as_numpy()})[0]
        output = InferOutput(name=self.output, shape=list(answer.shape), datatype="FP32")
        output.set_data_from_numpy(answer, binary_data=payload.from_grpc or False)
        return InferResponse(response_id=payload.id or "1", model_name=self.name, infer_outputs=[output])


logging.disable(logging.WARNING)
if __name__ == "__main__":
    ModelServer().start([OnnxModel("linear")])
