# BentoML. It has no gRPC any more.
import os

import bentoml
import numpy

from session import open_session


@bentoml.service(
    workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}}, traffic={"timeout": 60}
)
class Linear:
    def __init__(self):
        self.session, self.input, self.output = open_session(os.environ["BENCH_MODEL"])

    @bentoml.api
    async def infer(self, inputs: list) -> dict:
        values = numpy.asarray(inputs[0]["data"], numpy.float32).reshape(inputs[0]["shape"])
        answer = self.session.run([self.output], {self.input: values})[0]
        data = answer.ravel().tolist()
        return {"outputs": [{"name": self.output, "datatype": "FP32", "shape": list(answer.shape), "data": data}]}
