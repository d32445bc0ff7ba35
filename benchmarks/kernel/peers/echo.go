package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const sayPath = "/echo.v1.EchoService/Say"

// sayer answers Say. BytesValue has the same bytes on the wire as the request of the echo plugin.
type sayer interface {
	Say(context.Context, *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error)
}

var echoService = grpc.ServiceDesc{
	ServiceName: "echo.v1.EchoService",
	HandlerType: (*sayer)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Say",
		Handler: func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := new(wrapperspb.BytesValue)
			if err := decode(request); err != nil {
				return nil, err
			}
			return service.(sayer).Say(ctx, request)
		},
	}},
}

// echo answers by itself.
type echo struct{}

func (echo) Say(_ context.Context, request *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	return &wrapperspb.BytesValue{Value: request.Value}, nil
}

// forward lets a plugin answer.
type forward struct{ plugin *grpc.ClientConn }

func (f forward) Say(ctx context.Context, request *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	answer := new(wrapperspb.BytesValue)
	return answer, f.plugin.Invoke(ctx, sayPath, request, answer)
}
