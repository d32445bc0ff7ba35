package main

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	greeterv1 "greeter-plugin/gen/greeter/v1"
)

func client(t *testing.T) greeterv1.GreeterServiceClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server, _ := newServer()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient("passthrough:///bufconn",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return greeterv1.NewGreeterServiceClient(connection)
}

func TestGreetsByName(t *testing.T) {
	answer, err := client(t).Greet(t.Context(), &greeterv1.GreetRequest{Name: "Ada"})
	if err != nil || answer.GetText() != "Hello, Ada!" {
		t.Fatalf("got %v, %v", answer, err)
	}
}

func TestRefusesARequestWithoutANameAndSaysWhatToDo(t *testing.T) {
	_, err := client(t).Greet(t.Context(), &greeterv1.GreetRequest{})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "say who is to be greeted") {
		t.Fatalf("got %v", err)
	}
}

func TestGreetsEachNameAsItComes(t *testing.T) {
	stream, err := client(t).GreetEach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Ada", "Grace"} {
		if err := stream.Send(&greeterv1.GreetEachRequest{Name: name}); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil || answer.GetText() != "Hello, "+name+"!" {
			t.Fatalf("got %v, %v", answer, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatalf("got %v instead of the end", err)
	}
}
