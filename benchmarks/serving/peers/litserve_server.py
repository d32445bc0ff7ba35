# LitServe. It has no gRPC; the body is that of the Open Inference Protocol.
import os
import sys

import litserve
import numpy

from session import open_session


class OnnxApi(litserve.LitAPI):
    def setup(self, device):
        self.session, self.input, self.output = open_session(os.environ["BENCH_MODEL"])

    def decode_request(self, request):
        given = request["inputs"][0]
        return numpy.asarray(given["data"], numpy.float32).reshape(given["shape"])

    def predict(self, x):
        return self.session.run([self.output], {self.input: x})[0]

    def encode_response(self, output):
        data = output.ravel().tolist()
        return {"outputs": [{"name": self.output, "datatype": "FP32", "shape": list(output.shape), "data": data}]}


if __name__ == "__main__":
    server = litserve.LitServer(OnnxApi(), accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(
        port=int(sys.argv[1]), host="127.0.0.1", num_api_servers=1, generate_client_file=False, log_level="warning"
    )
