package main

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	greeterv1 "greeter-plugin/gen/greeter/v1"
)

// service is what the plugin does: one method for each method of the service.
type service struct {
	greeterv1.UnimplementedGreeterServiceServer
}

// Greet greets one person.
func (service) Greet(_ context.Context, request *greeterv1.GreetRequest) (*greeterv1.GreetResponse, error) {
	text, err := greeting(request.GetName())
	if err != nil {
		return nil, err
	}
	return &greeterv1.GreetResponse{Text: text}, nil
}

// GreetEach greets each person as the name comes.
func (service) GreetEach(stream greeterv1.GreeterService_GreetEachServer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := greeting(request.GetName())
		if err != nil {
			return err
		}
		if err := stream.Send(&greeterv1.GreetEachResponse{Text: text}); err != nil {
			return err
		}
	}
}

// greeting refuses a request without a name with a status that says what to do.
func greeting(name string) (string, error) {
	if name == "" {
		return "", status.Error(codes.InvalidArgument, "The request has no name; say who is to be greeted.")
	}
	return "Hello, " + name + "!", nil
}
