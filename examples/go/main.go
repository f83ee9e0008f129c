// A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"identity-gateway.example/gateway"
	identity "identity-gateway.example/gateway/idgw/identity/v1"
	person "identity-gateway.example/gateway/idgw/person/v1"
)

// traceContext sends W3C trace context: each call is a span of its own in one trace.
// With OpenTelemetry in the program, use otelgrpc instead.
func traceContext(traceID string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
		invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		traceparent := fmt.Sprintf("00-%s-%s-01", traceID, randomHex(8))
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", traceparent)
		return invoke(ctx, method, request, reply, conn, options...)
	}
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	rand.Read(random) // never fails
	return fmt.Sprintf("%x", random)
}

// connect makes a channel by the environment: TLS if there is a CA file, a token if there is a token file.
func connect(traceID, address string, failFast bool) (*grpc.ClientConn, error) {
	options := gateway.Options{CAFile: os.Getenv("GATEWAY_CA_FILE"), FailFast: failFast}
	options.Plaintext = options.CAFile == ""
	if file := os.Getenv("GATEWAY_TOKEN_FILE"); file != "" {
		options.Token = gateway.TokenFile(file)
	}
	if file := os.Getenv("GATEWAY_SERVICE_CONFIG"); file != "" {
		config, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		options.ServiceConfig = string(config)
	}
	return gateway.Connect(address, options, grpc.WithChainUnaryInterceptor(traceContext(traceID)))
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// explain tells what an error says of itself: `CODE REASON`, who is to blame and what it cost, which
// fields, when to come again.
func explain(failed *gateway.Error) string {
	text := code.Code(failed.Code).String()
	if failed.Code == codes.DeadlineExceeded {
		// It has details only if the gateway's answer was quicker than the library's own clock.
		return text
	}
	if failed.Reason == "" {
		// It is not the gateway's: nobody says what it cost, or whether anything was sent.
		text += " without ErrorInfo"
	} else {
		text += " " + failed.Reason
	}
	if _, known := failed.Metadata["billing"]; known {
		text += fmt.Sprintf(" by %s, %s", failed.Metadata["provider"], failed.Billing)
	}
	var names []string
	for _, violation := range failed.Violations {
		names = append(names, violation.Field)
	}
	if len(names) > 0 {
		slices.Sort(names)
		text += " in " + strings.Join(names, ", ")
	}
	if failed.RetryAfter > 0 {
		text += fmt.Sprintf(", again after %g s", failed.RetryAfter.Seconds())
	}
	return text
}

// method is an RPC of a generated client.
type method[Request, Response any] func(context.Context, Request, ...grpc.CallOption) (Response, error)

// call makes a call with a deadline.
func call[Request, Response any](rpc method[Request, Response], request Request, limit time.Duration) (Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return rpc(ctx, request)
}

// isRecovered tells whether an earlier call has paid for the answer. It was there already, or still on its way to that
// call.
func isRecovered(verification *identity.Verification) bool {
	source := verification.Source
	return source == identity.Source_SOURCE_RECOVERED || source == identity.Source_SOURCE_COALESCED
}

// refused makes a call that must fail; its explanation.
func refused[Request, Response any](rpc method[Request, Response], request Request, limit time.Duration) string {
	_, err := call(rpc, request, limit)
	var failed *gateway.Error
	if !errors.As(err, &failed) {
		log.Fatalf("%T should have been refused: %v", request, err)
	}
	return explain(failed)
}

func run() error {
	traceID := randomHex(16)
	if parts := strings.Split(os.Getenv("TRACEPARENT"), "-"); len(parts) == 4 {
		traceID = parts[1]
	}
	fmt.Println("trace:", traceID)
	conn, err := connect(traceID, setting("GATEWAY_ADDRESS", "localhost:50051"), false)
	if err != nil {
		return err
	}
	defer conn.Close()
	identities, persons := identity.NewIdentityServiceClient(conn), person.NewPersonServiceClient(conn)
	const limit = 10 * time.Second

	// A verification. The answer says what was found, who said it, and what it cost.
	answer, err := call(identities.CheckCurp,
		&identity.CheckCurpRequest{Curp: "RAZR811011HVZXPB01", RequestId: gateway.NewRequestID()}, limit)
	if err != nil {
		return err
	}
	found := answer.Verification
	fmt.Printf("found: %s by %s, %s, %s\n", found.Outcome, found.Provider, found.Billing, answer.Record.Status)

	// Nobody by that number: a successful call, not an error.
	nobody, err := call(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "00000000", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, SubjectConsent: true,
		RequestId: gateway.NewRequestID()}, limit)
	if err != nil {
		return err
	}
	fmt.Printf("nobody: %s by %s\n", nobody.Verification.Outcome, nobody.Verification.Provider)

	// Errors, read by their details. The message is for people; programs go by code and reason.
	fmt.Println("bad request:", refused(identities.VerifyPeForeignerId,
		&identity.VerifyPeForeignerIdRequest{DocumentNumber: "?", Birthdate: "2999-01-01", RequestId: gateway.NewRequestID()}, limit))
	fmt.Println("no consent:", refused(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "1234567", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, RequestId: gateway.NewRequestID()}, limit))
	fmt.Println("provider down:", refused(identities.CheckCurp,
		&identity.CheckCurpRequest{Curp: "DOWN900101HDFSND09", RequestId: gateway.NewRequestID()}, limit))

	// A registry that takes longer than the call may: the same call again gets what the first one has paid for.
	var tooLate []*gateway.Error
	late, err := gateway.UntilAnswered(context.Background(), identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "900002001", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, SubjectConsent: true,
		RequestId: gateway.NewRequestID()}, time.Second, func(err *gateway.Error) { tooLate = append(tooLate, err) })
	if err != nil {
		return err
	}
	paidFor := "asked again"
	if isRecovered(late.Verification) {
		paidFor = "recovered"
	}
	fmt.Printf("too slow: %s, then %s, %s\n", explain(tooLate[0]), late.Verification.Outcome, paidFor)

	// A create can be sent again with its request_id: it returns the first answer.
	givenName, familyName := "Grace", "Muster"
	create := &person.CreatePersonRequest{
		Person: &person.Person{GivenName: &givenName, FamilyName: &familyName,
			BiometricData: &person.BiometricData{FaceImage: make([]byte, 5<<20)}},
		RequestId: gateway.NewRequestID(),
	}
	first, err := call(persons.CreatePerson, create, limit)
	if err != nil {
		return err
	}
	again, err := call(persons.CreatePerson, create, limit)
	if err != nil {
		return err
	}
	created := "twice"
	if first.Person.Id == again.Person.Id {
		created = "once"
	}
	fmt.Println("created:", created)

	// A read is free: after UNAVAILABLE the library repeats it as the service config says.
	read, err := call(persons.GetPerson, &person.GetPersonRequest{
		Id: first.Person.Id, View: person.PersonView_PERSON_VIEW_FULL}, limit)
	if err != nil {
		return err
	}
	fmt.Printf("read: %s %s, an image of %d MiB\n", read.Person.GetGivenName(), read.Person.VerificationStatus,
		len(read.Person.BiometricData.FaceImage)>>20)
	fmt.Println("read, provider down:", refused(persons.GetPerson,
		&person.GetPersonRequest{Id: "person_outofservice"}, limit))

	fmt.Println("rate limit:", refused(identities.CheckCurp,
		&identity.CheckCurpRequest{Curp: "MUCH900101HDFSND01", RequestId: gateway.NewRequestID()}, limit))

	// No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request
	// was sent: so it is asked again with the same request_id, which never pays twice.
	nowhere, err := connect(traceID, "localhost:1", true)
	if err != nil {
		return err
	}
	defer nowhere.Close()
	fmt.Println("gateway down:", refused(identity.NewIdentityServiceClient(nowhere).CheckCurp,
		&identity.CheckCurpRequest{Curp: "RAZR811011HVZXPB01", RequestId: gateway.NewRequestID()}, limit))
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
