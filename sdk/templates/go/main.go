// Command greeter-plugin serves the plugin on the socket that the kernel names; see docs/plugin-contract.md of Lamella.
package main

import (
	"io"
	"log"
	"math"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	greeterv1 "greeter-plugin/gen/greeter/v1"
)

// The kernel kills a process five seconds after it has asked it to stop.
const drainTime = 4 * time.Second

func main() {
	// The kernel takes each line of stderr and stdout into its log.
	log.SetFlags(0)
	path := os.Getenv("LAMELLA_PLUGIN_SOCKET")
	if path == "" {
		log.Fatal("LAMELLA_PLUGIN_SOCKET is not set; the kernel starts this program: lamella plugin dev .")
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	server, checks := newServer()
	go func() {
		waitForEnd()
		checks.Shutdown()
		time.AfterFunc(drainTime, server.Stop)
		server.GracefulStop()
	}()
	log.Print("serving")
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// newServer makes a server whose health says SERVING for all of it and for the service.
func newServer() (*grpc.Server, *health.Server) {
	// The kernel has checked what comes from outside.
	server := grpc.NewServer(grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32))
	greeterv1.RegisterGreeterServiceServer(server, service{})
	checks := health.NewServer()
	checks.SetServingStatus(greeterv1.GreeterService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, checks)
	return server, checks
}

// waitForEnd returns when the kernel asks the plugin to stop, or goes away: it holds the other end of stdin.
func waitForEnd() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-signals:
	case <-closed:
	}
}
