# A model `double`, y = 2 x, behind a server that others wrote: `triton GRPC HTTP METRICS` or `kserve GRPC HTTP`.
import sys


def serve_triton(grpc_port, http_port, metrics_port):
    import numpy
    from pytriton.decorators import batch
    from pytriton.model_config import ModelConfig, Tensor
    from pytriton.triton import Triton, TritonConfig

    @batch
    def double(x):
        return {"y": x * numpy.float32(2)}

    ports = {"grpc_port": grpc_port, "http_port": http_port, "metrics_port": metrics_port}
    tensor = {"dtype": numpy.float32, "shape": (3,)}
    with Triton(config=TritonConfig(**ports)) as triton:
        triton.bind(
            model_name="double",
            infer_func=double,
            inputs=[Tensor(name="x", **tensor)],
            outputs=[Tensor(name="y", **tensor)],
            config=ModelConfig(max_batch_size=8),
        )
        triton.serve()


def serve_kserve(grpc_port, http_port):
    from kserve import InferOutput, InferResponse, Model, ModelServer

    class Double(Model):
        def __init__(self, name):
            super().__init__(name)
            self.ready = True

        async def predict(self, payload, headers=None, response_headers=None):
            answer = payload.inputs[0].as_numpy() * 2
            output = InferOutput(name="y", shape=list(answer.shape), datatype="FP32")
            output.set_data_from_numpy(answer, binary_data=True)
            return InferResponse(response_id=payload.id or "1", model_name=self.name, infer_outputs=[output])

    ModelServer(grpc_port=grpc_port, http_port=http_port).start([Double("double")])


if __name__ == "__main__":
    serve = {"triton": serve_triton, "kserve": serve_kserve}[sys.argv[1]]
    serve(*map(int, sys.argv[2:]))
