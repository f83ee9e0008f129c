// Makes one call with grpc-go and prints its code: `probe ADDRESS SERVICE_CONFIG DESCRIPTORS PATH TRACEPARENT JSON`.
// It sets no deadline and repeats nothing: what happens beyond one call is the service config's doing.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	if len(os.Args) != 7 {
		log.Fatal("usage: probe ADDRESS SERVICE_CONFIG DESCRIPTORS PATH TRACEPARENT JSON")
	}
	address, serviceConfig, path, traceparent, request := os.Args[1], read(os.Args[2]), os.Args[4], os.Args[5], os.Args[6]

	var descriptors descriptorpb.FileDescriptorSet
	check(proto.Unmarshal([]byte(read(os.Args[3])), &descriptors))
	files, err := protodesc.NewFiles(&descriptors)
	check(err)
	found, err := files.FindDescriptorByName(protoreflect.FullName(strings.Replace(path, "/", ".", 1)))
	check(err)
	method := found.(protoreflect.MethodDescriptor)
	asked, answer := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	check(protojson.Unmarshal([]byte(request), asked))

	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(serviceConfig))
	check(err)
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "traceparent", traceparent)
	fmt.Println(code.Code(status.Code(conn.Invoke(ctx, "/"+path, asked, answer))))
}

func read(file string) string {
	content, err := os.ReadFile(file)
	check(err)
	return string(content)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
