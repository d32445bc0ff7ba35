// Calls a running Lamella with a Go client generated from its .proto files and prints what it got as JSON.
//
// Usage: client GRPC_ADDRESS
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"lamella.test/client/inference"
)

type report struct {
	Server  string   `json:"server"`
	Ready   bool     `json:"ready"`
	Inputs  []string `json:"inputs"`
	Labels  []uint64 `json:"labels"`
	Code    string   `json:"code"`
	Message string   `json:"message"`
}

// Images whose light is on the pixels whose number ends with the digit.
func images(digits ...int) []byte {
	pixels := make([]byte, 784*len(digits))
	for row, digit := range digits {
		for pixel := digit; pixel < 784; pixel += 10 {
			pixels[row*784+pixel] = 255
		}
	}
	return pixels
}

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := inference.NewGRPCInferenceServiceClient(connection)

	var result report
	server, err := client.ServerMetadata(ctx, &inference.ServerMetadataRequest{})
	check(err)
	result.Server = server.Name
	ready, err := client.ModelReady(ctx, &inference.ModelReadyRequest{Name: "digits"})
	check(err)
	result.Ready = ready.Ready
	model, err := client.ModelMetadata(ctx, &inference.ModelMetadataRequest{Name: "digits"})
	check(err)
	for _, input := range model.Inputs {
		result.Inputs = append(result.Inputs, input.Name+" "+input.Datatype)
	}
	answer, err := client.ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName: "digits",
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "image", Datatype: "UINT8", Shape: []int64{3, 28, 28}},
		},
		Outputs:          []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "label"}},
		RawInputContents: [][]byte{images(5, 0, 8)},
	})
	check(err)
	for raw := answer.RawOutputContents[0]; len(raw) >= 8; raw = raw[8:] {
		result.Labels = append(result.Labels, binary.LittleEndian.Uint64(raw))
	}
	_, err = client.ModelInfer(ctx, &inference.ModelInferRequest{ModelName: "nothing"})
	result.Code = status.Code(err).String()
	result.Message = status.Convert(err).Message()
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
