"""Calls a running Lamella with NVIDIA's unmodified client and prints what it got as JSON.

Usage: client.py GRPC_ADDRESS HTTP_ADDRESS OWNER_TOKEN SEQUENCE_CONFIG
"""

import json
import queue
import sys

import numpy
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException


def light_on(digit):
    """An image whose light is on the pixels whose number ends with the digit."""
    image = numpy.zeros(784, numpy.uint8)
    image[digit::10] = 255
    return image.reshape(1, 28, 28)


def infer_input(module, images):
    tensor = module.InferInput("image", list(images.shape), "UINT8")
    tensor.set_data_from_numpy(images)
    return tensor


def call_grpc(address, token, sequence_config):
    client = tritonclient.grpc.InferenceServerClient(address)
    server = client.get_server_metadata()
    model = client.get_model_metadata("digits")
    config = client.get_model_config("digits").config
    images = numpy.concatenate([light_on(digit) for digit in range(10)])
    result = client.infer("digits", [infer_input(tritonclient.grpc, images)], request_id="ten")
    answers = queue.Queue()
    waiting = [
        client.async_infer(
            "digits",
            [infer_input(tritonclient.grpc, light_on(index % 10))],
            lambda result, error: answers.put((result, error)),
            request_id=str(index),
        )
        for index in range(50)
    ]
    concurrent = {}
    for _ in waiting:
        answer, error = answers.get(timeout=30)
        if error is not None:
            raise error
        concurrent[answer.get_response().id] = int(answer.as_numpy("label")[0])
    streamed = queue.Queue()
    client.start_stream(lambda result, error: streamed.put((result, error)))
    for digit in (7, 3):
        client.async_stream_infer("digits", [infer_input(tritonclient.grpc, light_on(digit))], request_id=str(digit))
    stream = [int(streamed.get(timeout=30)[0].as_numpy("label")[0]) for _ in range(2)]
    client.stop_stream()
    try:
        client.infer("nothing", [infer_input(tritonclient.grpc, light_on(1))])
        unknown = None
    except InferenceServerException as error:
        unknown = {"status": str(error.status()), "message": error.message()}
    try:
        wrong = tritonclient.grpc.InferInput("image", [1, 3], "UINT8")
        wrong.set_data_from_numpy(numpy.zeros((1, 3), numpy.uint8))
        client.infer("digits", [wrong])
        shape = None
    except InferenceServerException as error:
        shape = {"status": str(error.status()), "message": error.message()}
    best = tritonclient.grpc.InferRequestedOutput("probabilities", class_count=1)
    classes = client.infer("digits", [infer_input(tritonclient.grpc, light_on(6))], outputs=[best])
    statistics = client.get_inference_statistics("digits").model_stats[0]
    owner = {"authorization": f"Bearer {token}"}
    smaller = json.dumps({"max_batch_size": 8, "version_policy": {"all": {}}})
    client.load_model("digits", headers=owner, config=smaller)
    overridden = client.get_model_config("digits").config
    controlled = [overridden.max_batch_size, overridden.version_policy.WhichOneof("policy_choice")]
    client.unload_model("digits", headers=owner, unload_dependents=True)
    controlled.append(client.is_model_ready("digits"))
    client.load_model("digits", headers=owner)
    controlled.append(client.is_model_ready("digits", "1"))
    client.load_model("sum", headers=owner, config=sequence_config)
    sequences, no_start = call_sequences(client)
    traced = client.update_trace_settings(
        model_name="digits", settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "7"}, headers=owner
    )
    logged = client.update_log_settings({"log_verbose_level": 0, "log_info": True}, headers=owner)
    extensions = [
        list(traced.settings["trace_level"].value),
        list(traced.settings["trace_rate"].value),
        logged.settings["log_info"].bool_param,
    ]
    return {
        "settings": extensions,
        "sequences": sequences,
        "no_start": no_start,
        "controlled": controlled,
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready("digits"),
        "server": server.name,
        "extensions": list(server.extensions),
        "inputs": [[tensor.name, tensor.datatype, list(tensor.shape)] for tensor in model.inputs],
        "outputs": [[tensor.name, tensor.datatype, list(tensor.shape)] for tensor in model.outputs],
        "max_batch_size": config.max_batch_size,
        "labels": result.as_numpy("label").tolist(),
        "probabilities_shape": list(result.as_numpy("probabilities").shape),
        "id": result.get_response().id,
        "concurrent": concurrent,
        "stream": stream,
        "classes": [text.decode() for text in classes.as_numpy("probabilities").flatten()],
        "unknown": unknown,
        "shape": shape,
        "index": [[entry.name, entry.state] for entry in client.get_model_repository_index().models],
        "inference_count": statistics.inference_count,
        "execution_count": statistics.execution_count,
    }


def value_input(value):
    tensor = tritonclient.grpc.InferInput("value", [1, 1], "FP32")
    tensor.set_data_from_numpy(numpy.array([[value]], numpy.float32))
    return tensor


def call_sequences(client):
    """Sums of a sequence sent call by call, and of one sent as a stream with a text as its id."""
    one_by_one = [
        client.infer(
            "sum",
            [value_input(value)],
            sequence_id=42,
            sequence_start=value == 1,
            sequence_end=value == 3,
        ).as_numpy("seen")
        for value in (1, 2, 3)
    ]
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for value in (10, 20):
        client.async_stream_infer(
            "sum",
            [value_input(value)],
            sequence_id="text",
            sequence_start=value == 10,
            sequence_end=value == 20,
        )
    streamed = [answers.get(timeout=30)[0].as_numpy("seen") for _ in range(2)]
    client.stop_stream()
    try:
        client.infer("sum", [value_input(1)], sequence_id=43)
        no_start = None
    except InferenceServerException as error:
        no_start = {"status": str(error.status()), "message": error.message()}
    return [[float(seen[0][0]) for seen in answered] for answered in (one_by_one, streamed)], no_start


def call_http(address):
    client = tritonclient.http.InferenceServerClient(address)
    images = numpy.concatenate([light_on(digit) for digit in (4, 2)])
    binary = client.infer("digits", [infer_input(tritonclient.http, images)])
    text = tritonclient.http.InferInput("image", [2, 28, 28], "UINT8")
    text.set_data_from_numpy(images, binary_data=False)
    label = tritonclient.http.InferRequestedOutput("label", binary_data=False)
    as_json = client.infer("digits", [text], outputs=[label])
    best = tritonclient.http.InferRequestedOutput("probabilities", class_count=1)
    classes = client.infer("digits", [infer_input(tritonclient.http, images)], outputs=[best])
    try:
        client.infer("nothing", [infer_input(tritonclient.http, images)])
        unknown = None
    except InferenceServerException as error:
        unknown = {"status": str(error.status()), "message": error.message()}
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready("digits"),
        "server": client.get_server_metadata()["name"],
        "inputs": client.get_model_metadata("digits")["inputs"],
        "binary": binary.as_numpy("label").tolist(),
        "probabilities_shape": list(binary.as_numpy("probabilities").shape),
        "json": as_json.as_numpy("label").tolist(),
        "classes": [item.decode() for item in classes.as_numpy("probabilities").flatten()],
        "unknown": unknown,
        "index": client.get_model_repository_index(),
    }


print(json.dumps({"grpc": call_grpc(sys.argv[1], sys.argv[3], sys.argv[4]), "http": call_http(sys.argv[2])}))
