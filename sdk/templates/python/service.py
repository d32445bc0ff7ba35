"""What the plugin does: one method for each method of the service."""

import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

# The .proto text is compiled when the plugin starts, so that there is no generated code to keep in step with it.
sys.path.insert(0, str(Path(__file__).parent / "proto"))
pb, rpc = grpc.protos_and_services("greeter/v1/greeter_service.proto")


class Greeter(rpc.GreeterServiceServicer):
    """Greets people."""

    def Greet(self, request, context: grpc.ServicerContext):
        return pb.GreetResponse(text=greeting(request.name, context))

    def GreetEach(self, request_iterator, context: grpc.ServicerContext) -> Iterator:
        for request in request_iterator:
            yield pb.GreetEachResponse(text=greeting(request.name, context))


def greeting(name: str, context: grpc.ServicerContext) -> str:
    """A greeting; a request without a name ends the call with a status that says what to do."""
    if not name:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request has no name; say who is to be greeted.")
    return f"Hello, {name}!"
