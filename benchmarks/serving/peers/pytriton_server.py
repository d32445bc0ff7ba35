# PyTriton: Triton before a function in Python, which it gives batches without delay.
import os
import sys

import numpy
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from session import open_session

session, input_name, output_name = open_session(os.environ["BENCH_MODEL"])


@batch
def infer(**inputs):
    return {output_name: session.run([output_name], {input_name: inputs[input_name]})[0]}


grpc_port, http_port = int(sys.argv[1]), int(sys.argv[2])
config = TritonConfig(grpc_port=grpc_port, http_port=http_port, metrics_port=int(sys.argv[3]), log_verbose=0)
with Triton(config=config) as triton:
    triton.bind(
        model_name="linear",
        infer_func=infer,
        inputs=[Tensor(name=input_name, dtype=numpy.float32, shape=(784,))],
        outputs=[Tensor(name=output_name, dtype=numpy.float32, shape=(10,))],
        config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
    )
    triton.serve()
