import tempfile
import unittest

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from main import SERVICE, create_server
from service import pb, rpc


class GreeterTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        address = f"unix:{folder.name}/plugin.sock"
        server, _ = create_server(address)
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        self.channel = grpc.insecure_channel(address)
        self.addCleanup(self.channel.close)
        self.greeter = rpc.GreeterServiceStub(self.channel)

    def test_greets_by_name(self) -> None:
        self.assertEqual(self.greeter.Greet(pb.GreetRequest(name="Ada")).text, "Hello, Ada!")

    def test_refuses_a_request_without_a_name_and_says_what_to_do(self) -> None:
        with self.assertRaises(grpc.RpcError) as raised:
            self.greeter.Greet(pb.GreetRequest())
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("say who is to be greeted", raised.exception.details())

    def test_greets_each_name_as_it_comes(self) -> None:
        names = (pb.GreetEachRequest(name=name) for name in ("Ada", "Grace"))
        texts = [answer.text for answer in self.greeter.GreetEach(names)]
        self.assertEqual(texts, ["Hello, Ada!", "Hello, Grace!"])

    def test_is_healthy(self) -> None:
        health = health_pb2_grpc.HealthStub(self.channel)
        for name in ("", SERVICE):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    unittest.main()
