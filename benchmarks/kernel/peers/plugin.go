package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var handshake = goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "LAMELLA_BENCH", MagicCookieValue: "echo"}

type echoPlugin struct{ goplugin.Plugin }

func (echoPlugin) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	server.RegisterService(&echoService, echo{})
	return nil
}

func (echoPlugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, connection *grpc.ClientConn) (any, error) {
	return connection, nil
}

var plugins = goplugin.PluginSet{"echo": echoPlugin{}}

// servePlugin is what the process of a plugin does.
func servePlugin() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugins,
		GRPCServer:      goplugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
}

// startPlugin starts this program once more as a plugin and waits until it answers.
func startPlugin() (*goplugin.Client, *grpc.ClientConn, error) {
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          plugins,
		Cmd:              exec.Command(os.Args[0], "plugin"),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	protocol, err := client.Client()
	if err != nil {
		return nil, nil, err
	}
	raw, err := protocol.Dispense("echo")
	if err != nil {
		return nil, nil, err
	}
	return client, raw.(*grpc.ClientConn), nil
}

// measureStarts prints for each start the milliseconds until a call was answered.
func measureStarts(count int) error {
	for range count {
		began := time.Now()
		client, connection, err := startPlugin()
		if err != nil {
			return err
		}
		if _, err := (forward{connection}).Say(context.Background(), new(wrapperspb.BytesValue)); err != nil {
			return err
		}
		fmt.Println(time.Since(began).Seconds() * 1000)
		client.Kill()
	}
	return nil
}
