"""Does what NVIDIA's published examples do, with their unmodified client, and prints what came back as JSON.

Usage: examples.py GRPC_ADDRESS HTTP_ADDRESS
"""

import asyncio
import json
import queue
import sys
import urllib.request
from functools import partial

import grpc
import numpy
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
import tritonclient.utils
import tritonclient.utils.shared_memory as memory
from tritonclient.grpc import service_pb2, service_pb2_grpc

FIRST = numpy.arange(16, dtype=numpy.int32).reshape(1, 16)
ONES = numpy.ones((1, 16), numpy.int32)
VALUES = [11, 7, 5, 3, 2, 0, 1]


def inputs(module, first, second, datatype, **options):
    tensors = []
    for name, values in (("INPUT0", first), ("INPUT1", second)):
        tensors.append(module.InferInput(name, list(values.shape), datatype))
        tensors[-1].set_data_from_numpy(values, **options)
    return tensors


def numbers(array):
    return [int(value) for value in numpy.asarray(array).reshape(-1)]


def both(result):
    return [numbers(result.as_numpy(name)) for name in ("OUTPUT0", "OUTPUT1")]


def texts(values):
    return numpy.array([str(value).encode() for value in values.reshape(-1)], numpy.object_).reshape(values.shape)


def failure(work):
    try:
        work()
    except tritonclient.utils.InferenceServerException as error:
        return [str(error.status()), error.message()]
    return None


def infer(module, client):
    """infer, string, custom arguments, reuse of input objects, model control."""
    tensors = inputs(module, FIRST, ONES, "INT32")
    first = both(client.infer("simple", tensors, headers={"test": "1"}))
    tensors[1].set_data_from_numpy(2 * ONES)
    again = both(client.infer("simple", tensors, outputs=[module.InferRequestedOutput("OUTPUT0")] + [
        module.InferRequestedOutput("OUTPUT1")
    ]))
    strings = both(client.infer("simple_string", inputs(module, texts(FIRST), texts(ONES), "BYTES")))
    identity = []
    for element in (b"he\x00llo", b"\x00\x01\x02\x03"):
        tensor = module.InferInput("INPUT0", [1, 16], "BYTES")
        tensor.set_data_from_numpy(numpy.array([element] * 16, numpy.object_).reshape(1, 16))
        echoed = client.infer("simple_identity", [tensor]).as_numpy("OUTPUT0").reshape(-1)
        identity.append({item.decode() for item in echoed} == {element.decode()} and len(echoed) == 16)
    return {
        "simple": [first, again],
        "string": strings,
        "identity": identity,
        "unknown": failure(lambda: client.get_model_metadata("wrong_model_name")),
        "sequences": [sequence(module, client, "simple_sequence", 7), sequence(module, client, "simple_dyna_sequence", 9)],
        "control": control(client),
        "shared": shared(module, client),
    }


def sequence(module, client, model, sequence_id):
    seen = []
    for index, value in enumerate([0, *VALUES]):
        tensor = module.InferInput("INPUT", [1, 1], "INT32")
        tensor.set_data_from_numpy(numpy.array([[value]], numpy.int32))
        place = {"sequence_id": sequence_id, "sequence_start": index == 0, "sequence_end": index == len(VALUES)}
        seen += numbers(client.infer(model, [tensor], **place).as_numpy("OUTPUT"))
    return seen


def control(client):
    """Wrong and right configurations, a file name that is too long, a model that is not there."""
    client.unload_model("simple_int8")
    answers = [client.is_model_ready("simple_int8")]
    answers.append(failure(lambda: client.load_model("simple_int8", config='"parameters": {"config": {{}}}')))
    client.load_model("simple_int8", config='{"max_batch_size":"16"}')
    config = client.get_model_config("simple_int8")
    answers.append(config["max_batch_size"] if isinstance(config, dict) else config.config.max_batch_size)
    long_name = {"file:" + "A" * 256: b"a"}
    answers.append(failure(lambda: client.load_model("simple_int8", config="{}", files=long_name)))
    answers.append(failure(lambda: client.load_model("wrong_model_name")))
    return answers


def shared(module, client):
    """Inputs and outputs in system shared memory."""
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    size = FIRST.nbytes
    into = memory.create_shared_memory_region("in", f"/lamella-in-{module.__name__}", 2 * size)
    out = memory.create_shared_memory_region("out", f"/lamella-out-{module.__name__}", 2 * size)
    try:
        memory.set_shared_memory_region(into, [FIRST, ONES])
        client.register_system_shared_memory("in", f"/lamella-in-{module.__name__}", 2 * size)
        client.register_system_shared_memory("out", f"/lamella-out-{module.__name__}", 2 * size)
        tensors = [module.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
        wanted = [module.InferRequestedOutput(name) for name in ("OUTPUT0", "OUTPUT1")]
        for index in range(2):
            tensors[index].set_shared_memory("in", size, offset=index * size)
            wanted[index].set_shared_memory("out", size, offset=index * size)
        client.infer("simple", tensors, outputs=wanted)
        client.unregister_system_shared_memory()
        return numbers(memory.get_contents_as_numpy(out, numpy.int32, [2, 16]))
    finally:
        memory.destroy_shared_memory_region(into)
        memory.destroy_shared_memory_region(out)


def streams(client):
    """Sequences and a decoupled model over streams."""
    answers = queue.Queue()
    client.start_stream(partial(lambda results, result, error: results.put((result, error)), answers))
    for model, sequence_id in (("simple_sequence", "by-text"), ("simple_dyna_sequence", 11), ("simple_string_dyna_sequence", "12")):
        for index, value in enumerate([20, *VALUES]):
            tensor = tritonclient.grpc.InferInput("INPUT", [1, 1], "INT32")
            tensor.set_data_from_numpy(numpy.array([[value]], numpy.int32))
            client.async_stream_infer(
                model,
                [tensor],
                request_id=model,
                sequence_id=sequence_id,
                sequence_start=index == 0,
                sequence_end=index == len(VALUES),
            )
    seen = {}
    for _ in range(3 * (1 + len(VALUES))):
        result, error = answers.get(timeout=30)
        if error is not None:
            raise error
        seen.setdefault(result.get_response().id, []).extend(numbers(result.as_numpy("OUTPUT")))
    client.async_stream_infer("repeat_int32", repeat_inputs(), enable_empty_final_response=True)
    repeated = []
    while True:
        result, error = answers.get(timeout=30)
        if error is not None:
            raise error
        if result.get_response().parameters["triton_final_response"].bool_param:
            break
        repeated += numbers(result.as_numpy("OUT"))
    client.stop_stream()
    return {"sequences": seen, "repeated": repeated}


def repeat_inputs():
    values = numpy.arange(100, 110, dtype=numpy.int32)
    given = {"IN": values, "DELAY": numpy.ones(10, numpy.uint32), "WAIT": numpy.zeros(1, numpy.uint32)}
    tensors = []
    for name, array in given.items():
        tensors.append(tritonclient.grpc.InferInput(name, list(array.shape), "INT32" if name == "IN" else "UINT32"))
        tensors[-1].set_data_from_numpy(array)
    return tensors


def explicit(address):
    """Typed contents, through the generated stubs alone."""
    stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))
    answers = []
    for model, datatype, field, cast in (
        ("simple", "INT32", "int_contents", int),
        ("simple_int8", "INT8", "int_contents", int),
        ("simple_string", "BYTES", "bytes_contents", lambda value: str(value).encode()),
    ):
        request = service_pb2.ModelInferRequest(model_name=model)
        for name, values in (("INPUT0", range(16)), ("INPUT1", [1] * 16)):
            tensor = request.inputs.add(name=name, datatype=datatype, shape=[1, 16])
            getattr(tensor.contents, field).extend(cast(value) for value in values)
        answer = stub.ModelInfer(request)
        result = tritonclient.grpc.InferResult(answer)
        answers.append(both(result))
    return answers


async def asynchronous(grpc_address, http_address):
    async with tritonclient.grpc.aio.InferenceServerClient(grpc_address) as client:
        over_grpc = both(await client.infer("simple", inputs(tritonclient.grpc.aio, FIRST, ONES, "INT32")))
        statistics = await client.get_inference_statistics("simple")

        async def requests():
            for index, value in enumerate(VALUES):
                tensor = tritonclient.grpc.aio.InferInput("INPUT", [1, 1], "INT32")
                tensor.set_data_from_numpy(numpy.array([[value]], numpy.int32))
                yield {
                    "model_name": "simple_sequence",
                    "inputs": [tensor],
                    "sequence_id": 13,
                    "sequence_start": index == 0,
                    "sequence_end": index == len(VALUES) - 1,
                }

        streamed = []
        async for result, error in client.stream_infer(requests()):
            if error is not None:
                raise error
            streamed += numbers(result.as_numpy("OUTPUT"))
    async with tritonclient.http.aio.InferenceServerClient(http_address) as client:
        over_http = both(await client.infer("simple", inputs(tritonclient.http.aio, FIRST, ONES, "INT32")))
    return {"grpc": over_grpc, "http": over_http, "statistics": len(statistics.model_stats), "stream": streamed}


def callbacks(grpc_client, http_client):
    answers = queue.Queue()
    for _ in range(4):
        tensors = inputs(tritonclient.grpc, FIRST, ONES, "INT32")
        grpc_client.async_infer("simple", tensors, lambda result, error: answers.put(error or result))
    over_grpc = [both(answers.get(timeout=30)) for _ in range(4)]
    waiting = [http_client.async_infer("simple", inputs(tritonclient.http, FIRST, ONES, "INT32")) for _ in range(4)]
    return over_grpc + [both(request.get_result()) for request in waiting]


def over_http(address, client):
    """Text instead of bytes, compressed bodies, and a raw request."""
    plain = client.infer("simple", inputs(tritonclient.http, FIRST, ONES, "INT32", binary_data=False))
    packed = client.infer(
        "simple",
        inputs(tritonclient.http, FIRST, ONES, "INT32"),
        request_compression_algorithm="gzip",
        response_compression_algorithm="deflate",
    )
    request = urllib.request.Request(
        f"http://{address}/v2/models/simple_identity/infer",
        data=b"raw",
        headers={"Inference-Header-Content-Length": "0", "Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request) as response:
        body = response.read()
        head = int(response.headers["Inference-Header-Content-Length"])
    return {"plain": both(plain), "packed": both(packed), "raw": body[head:].decode()}


def main(grpc_address, http_address):
    keepalive = tritonclient.grpc.KeepAliveOptions(
        keepalive_time_ms=20_000,
        keepalive_timeout_ms=5_000,
        keepalive_permit_without_calls=True,
        http2_max_pings_without_data=2,
    )
    grpc_client = tritonclient.grpc.InferenceServerClient(grpc_address, keepalive_options=keepalive)
    arguments = [("grpc.max_receive_message_length", -1), ("grpc.primary_user_agent", "custom")]
    custom = tritonclient.grpc.InferenceServerClient(grpc_address, channel_args=arguments)
    http_client = tritonclient.http.InferenceServerClient(http_address, concurrency=4)
    print(
        json.dumps(
            {
                "server": [grpc_client.get_server_metadata().name, http_client.get_server_metadata()["name"]],
                "grpc": infer(tritonclient.grpc, grpc_client),
                "http": infer(tritonclient.http, http_client),
                "custom": both(custom.infer("simple", inputs(tritonclient.grpc, FIRST, ONES, "INT32"))),
                "callbacks": callbacks(grpc_client, http_client),
                "streams": streams(grpc_client),
                "explicit": explicit(grpc_address),
                "asynchronous": asyncio.run(asynchronous(grpc_address, http_address)),
                "bodies": over_http(http_address, http_client),
                "index": [entry.name for entry in grpc_client.get_model_repository_index().models],
            }
        )
    )


main(*sys.argv[1:])
