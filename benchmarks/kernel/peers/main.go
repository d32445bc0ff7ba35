// Peers of the kernel's benchmark: an echo on grpc-go, and a host that calls the same echo through hashicorp/go-plugin.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"google.golang.org/grpc"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(role string, arguments []string) error {
	switch role {
	case "plugin":
		servePlugin()
		return nil
	case "echo":
		return serve(echo{}, arguments[0])
	case "host":
		client, connection, err := startPlugin()
		if err != nil {
			return err
		}
		defer client.Kill()
		return serve(forward{connection}, arguments[0])
	case "starts":
		count, err := strconv.Atoi(arguments[0])
		if err != nil {
			return err
		}
		return measureStarts(count)
	}
	return fmt.Errorf("there is no role %q: echo, host, plugin, starts", role)
}

// serve listens on a free port, writes it to a file, and serves until SIGTERM.
func serve(implementation sayer, readyFile string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	server.RegisterService(&echoService, implementation)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		server.Stop()
	}()
	ready := fmt.Sprintf(`{"grpc":%q}`, listener.Addr().String())
	if err := os.WriteFile(readyFile+".part", []byte(ready), 0o600); err != nil {
		return err
	}
	if err := os.Rename(readyFile+".part", readyFile); err != nil {
		return err
	}
	return server.Serve(listener)
}
