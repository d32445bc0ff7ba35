# Ray Serve over HTTP, one replica.
import os
import sys
import time

import numpy
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from starlette.requests import Request

from session import open_session


@serve.deployment(num_replicas=1, max_ongoing_requests=200, ray_actor_options={"num_cpus": 0.2})
class Linear:
    def __init__(self, file):
        self.session, self.input, self.output = open_session(file)

    async def __call__(self, request: Request):
        given = (await request.json())["inputs"][0]
        values = numpy.asarray(given["data"], numpy.float32).reshape(given["shape"])
        answer = self.session.run([self.output], {self.input: values})[0]
        data = answer.ravel().tolist()
        return {"outputs": [{"name": self.output, "datatype": "FP32", "shape": list(answer.shape), "data": data}]}


here = os.path.dirname(os.path.abspath(__file__))
ray.init(
    num_cpus=2,
    include_dashboard=False,
    runtime_env={"env_vars": {"PYTHONPATH": here}},
    object_store_memory=200_000_000,
    log_to_driver=False,
)
serve.start(
    http_options=HTTPOptions(host="127.0.0.1", port=int(sys.argv[1])),
    logging_config={"log_level": "ERROR", "enable_access_log": False},
)
serve.run(Linear.bind(os.environ["BENCH_MODEL"]), route_prefix="/")
while True:
    time.sleep(60)
