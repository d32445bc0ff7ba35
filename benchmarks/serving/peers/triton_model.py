# A model for Triton's Python backend: one run for all requests that Triton's batcher hands over together.
import os

import numpy
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = os.environ["BENCH_MODEL"]
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        inputs = [triton.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        joined = inputs[0] if len(inputs) == 1 else numpy.concatenate(inputs)
        answer = self.session.run(["y"], {"x": joined})[0]
        responses, start = [], 0
        for values in inputs:
            part = triton.Tensor("y", answer[start : start + len(values)])
            responses.append(triton.InferenceResponse([part]))
            start += len(values)
        return responses
