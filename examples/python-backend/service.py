"""An inference backend: it opens models and runs them; serving.infer does everything else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

# The .proto text comes with the lamella package, in which this folder is examples/python-backend. A plugin elsewhere keeps a
# copy of the files in a folder of its own.
sys.path.insert(0, str(Path(__file__).absolute().parents[2] / "proto"))
pb, rpc = grpc.protos_and_services("lamella/serving/v1/inference_backend_service.proto")


class IdentityBackend(rpc.InferenceBackendServiceServicer):
    """Its models give what they get: INPUT0 as OUTPUT0, INPUT1 as OUTPUT1. Their configuration says the types."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def OpenModel(self, request_iterator: Iterator, context: grpc.ServicerContext):
        for request in request_iterator:
            if request.WhichOneof("part") == "header":
                self._open[request.header.model_id] = request.header.name
        return pb.OpenModelResponse()

    def CloseModel(self, request, context: grpc.ServicerContext):
        self._open.pop(request.model_id, None)
        return pb.CloseModelResponse()

    def RunModel(self, request, context: grpc.ServicerContext) -> Iterator:
        if request.model_id not in self._open:
            context.abort(grpc.StatusCode.NOT_FOUND, "The model is not open; open it first.")
        yield pb.RunModelResponse(outputs=[answer(tensor) for tensor in request.inputs])


def answer(tensor):
    """The output that belongs to an input."""
    name = tensor.name.replace("INPUT", "OUTPUT")
    return pb.BackendTensor(name=name, datatype=tensor.datatype, shape=tensor.shape, content=tensor.content)
