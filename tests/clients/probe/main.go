// Makes one call with grpc-go and prints its code: `probe ADDRESS SERVICE_CONFIG DESCRIPTORS PATH TRACEPARENT JSON
// [DEADLINE]`. It repeats nothing: what happens beyond one call is the service config's doing.
//
// PROBE_GZIP compresses the request. PROBE_TELL adds what else a caller can know: whether the error has details, and
// whether the library ever had a connection for the call. PROBE_FOR makes calls for that long, eight at a time over one
// channel, and prints how often which code came.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	_ "google.golang.org/grpc/health"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	if len(os.Args) != 7 && len(os.Args) != 8 {
		log.Fatal("usage: probe ADDRESS SERVICE_CONFIG DESCRIPTORS PATH TRACEPARENT JSON [DEADLINE]")
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
	if len(os.Args) == 8 {
		deadline, err := time.ParseDuration(os.Args[7])
		check(err)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, deadline)
		defer cancel()
	}
	var reached peer.Peer
	options := []grpc.CallOption{grpc.Peer(&reached)}
	if os.Getenv("PROBE_GZIP") != "" {
		options = append(options, grpc.UseCompressor(gzip.Name))
	}
	if load := os.Getenv("PROBE_FOR"); load != "" {
		duration, err := time.ParseDuration(load)
		check(err)
		options = options[1:]
		repeat(duration, func() error {
			return conn.Invoke(ctx, "/"+path, asked, dynamicpb.NewMessage(method.Output()), options...)
		})
		return
	}
	failed := conn.Invoke(ctx, "/"+path, asked, answer, options...)
	fmt.Println(code.Code(status.Code(failed)))
	if os.Getenv("PROBE_TELL") != "" {
		fmt.Println("details:", len(status.Convert(failed).Proto().GetDetails()) > 0)
		fmt.Println("connection:", reached.Addr != nil)
		fmt.Println("message:", status.Convert(failed).Message())
	}
}

// repeat makes calls for that long.
func repeat(duration time.Duration, call func() error) {
	var all sync.WaitGroup
	var lock sync.Mutex
	counts := map[string]int{}
	end := time.Now().Add(duration)
	for range 8 {
		all.Go(func() {
			for time.Now().Before(end) {
				failed := call()
				told := code.Code(status.Code(failed)).String()
				if failed != nil {
					told += " " + failed.Error()
				}
				lock.Lock()
				counts[told]++
				lock.Unlock()
			}
		})
	}
	all.Wait()
	var lines []string
	for told, count := range counts {
		lines = append(lines, fmt.Sprint(count, " ", told))
	}
	sort.Strings(lines)
	fmt.Println(strings.Join(lines, "\n"))
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
