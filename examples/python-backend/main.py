"""Serves the plugin on the socket that the kernel names; see docs/plugin-contract.md of Lamella."""

import logging
import os
import signal
import sys
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from service import IdentityBackend, rpc

SERVICE = "lamella.serving.v1.InferenceBackendService"
# Calls that run side by side; more wait for their turn.
THREADS = 16
# The kernel kills a process five seconds after it has asked it to stop.
DRAIN_SECONDS = 4


def create_server(address: str) -> tuple[grpc.Server, health.HealthServicer]:
    """A server that is not started yet; health says SERVING for all of it and for the service."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=THREADS),
        # The kernel has checked what comes from outside.
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    rpc.add_InferenceBackendServiceServicer_to_server(IdentityBackend(), server)
    # A pool of its own: health answers also when all threads of the server are busy.
    checks = health.HealthServicer(
        experimental_non_blocking=True, experimental_thread_pool=futures.ThreadPoolExecutor(max_workers=1)
    )
    for name in ("", SERVICE):
        checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    server.add_insecure_port(address)
    return server, checks


def main() -> None:
    # The kernel takes each line of stderr and stdout into its log.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path = os.environ.get("LAMELLA_PLUGIN_SOCKET")
    if path is None:
        sys.exit("LAMELLA_PLUGIN_SOCKET is not set; the kernel starts this program: lamella plugin dev .")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    threading.Thread(target=wait_for_end_of_stdin, args=(stop,), daemon=True).start()
    server, checks = create_server(f"unix:{path}")
    server.start()
    logging.info("serving")
    stop.wait()
    checks.enter_graceful_shutdown()
    server.stop(DRAIN_SECONDS).wait()


def wait_for_end_of_stdin(stop: threading.Event) -> None:
    """The kernel holds the other end: when it goes away, however it died, so does the plugin."""
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    main()
