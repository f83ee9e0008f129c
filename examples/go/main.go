// A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.
// `buf generate ../..` makes the stubs in gen/.
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

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // asks for health as the service config says
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	identity "example.com/identity-gateway-client/gen/idgw/identity/v1"
	person "example.com/identity-gateway-client/gen/idgw/person/v1"
)

// bearerToken sends the token with each call. The file is read each time: tokens are renewed in place.
type bearerToken struct{ file string }

func (t bearerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(t.file)
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, err
}

func (t bearerToken) RequireTransportSecurity() bool { return true }

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
func connect(traceID string) (*grpc.ClientConn, error) {
	serviceConfig, err := os.ReadFile(setting("GATEWAY_SERVICE_CONFIG", "../../deploy/client/service-config.json"))
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithDefaultServiceConfig(string(serviceConfig)),
		grpc.WithUnaryInterceptor(traceContext(traceID)),
	}
	caFile, tokenFile := os.Getenv("GATEWAY_CA_FILE"), os.Getenv("GATEWAY_TOKEN_FILE")
	switch {
	case caFile != "":
		tls, err := credentials.NewClientTLSFromFile(caFile, "")
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithTransportCredentials(tls))
	case tokenFile != "":
		return nil, errors.New("GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear")
	default:
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	if tokenFile != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearerToken{tokenFile}))
	}
	return grpc.NewClient(setting("GATEWAY_ADDRESS", "localhost:50051"), options...)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// explain tells what an error says of itself: `CODE REASON`, who is to blame and what it cost, which
// fields, when to come again.
func explain(err error) string {
	failed := status.Convert(err)
	if failed.Code() == codes.DeadlineExceeded {
		// It has details only if the gateway's answer was quicker than the library's own clock.
		return code.Code(failed.Code()).String()
	}
	var cause, fields, again string
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			cause = " " + detail.Reason
			if billing, known := detail.Metadata["billing"]; known {
				cause += fmt.Sprintf(" by %s, %s", detail.Metadata["provider"], billing)
			}
		case *errdetails.BadRequest:
			var names []string
			for _, violation := range detail.FieldViolations {
				names = append(names, violation.Field)
			}
			slices.Sort(names)
			fields = " in " + strings.Join(names, ", ")
		case *errdetails.RetryInfo:
			again = fmt.Sprintf(", again after %g s", detail.RetryDelay.AsDuration().Seconds())
		}
	}
	return code.Code(failed.Code()).String() + cause + fields + again
}

// method is an RPC of a generated client.
type method[Request, Response any] func(context.Context, Request, ...grpc.CallOption) (Response, error)

// call makes a call with a deadline.
func call[Request, Response any](rpc method[Request, Response], request Request, limit time.Duration) (Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return rpc(ctx, request)
}

// refused makes a call that must fail; its explanation.
func refused[Request, Response any](rpc method[Request, Response], request Request, limit time.Duration) string {
	_, err := call(rpc, request, limit)
	if err == nil {
		log.Fatalf("%T should have been refused", request)
	}
	return explain(err)
}

func run() error {
	traceID := randomHex(16)
	if parts := strings.Split(os.Getenv("TRACEPARENT"), "-"); len(parts) == 4 {
		traceID = parts[1]
	}
	fmt.Println("trace:", traceID)
	conn, err := connect(traceID)
	if err != nil {
		return err
	}
	defer conn.Close()
	identities, persons := identity.NewIdentityServiceClient(conn), person.NewPersonServiceClient(conn)
	const limit = 10 * time.Second

	// A verification. The answer says what was found, who said it, and what it cost.
	answer, err := call(identities.CheckCurp, &identity.CheckCurpRequest{Curp: "RAZR811011HVZXPB01"}, limit)
	if err != nil {
		return err
	}
	found := answer.Verification
	fmt.Printf("found: %s by %s, %s, %s\n", found.Outcome, found.Provider, found.Billing, answer.Record.Status)

	// Nobody by that number: a successful call, not an error.
	nobody, err := call(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "00000000", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, SubjectConsent: true}, limit)
	if err != nil {
		return err
	}
	fmt.Printf("nobody: %s by %s\n", nobody.Verification.Outcome, nobody.Verification.Provider)

	// Errors, read by their details. The message is for people; programs go by code and reason.
	fmt.Println("bad request:", refused(identities.VerifyPeForeignerId,
		&identity.VerifyPeForeignerIdRequest{DocumentNumber: "?", Birthdate: "2999-01-01"}, limit))
	fmt.Println("no consent:", refused(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "1234567", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID}, limit))
	fmt.Println("provider down:", refused(identities.CheckCurp,
		&identity.CheckCurpRequest{Curp: "DOWN900101HDFSND09"}, limit))
	fmt.Println("too slow:", refused(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "900002002", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, SubjectConsent: true}, time.Second))

	// A create can be sent again with its request_id: it returns the first answer.
	givenName, familyName := "Grace", "Muster"
	create := &person.CreatePersonRequest{
		Person:    &person.Person{GivenName: &givenName, FamilyName: &familyName},
		RequestId: uuid.NewString(),
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
	read, err := call(persons.GetPerson, &person.GetPersonRequest{Id: first.Person.Id}, limit)
	if err != nil {
		return err
	}
	fmt.Println("read:", read.Person.GetGivenName(), read.Person.VerificationStatus)
	fmt.Println("read, provider down:", refused(persons.GetPerson,
		&person.GetPersonRequest{Id: "person_outofservice"}, limit))

	fmt.Println("rate limit:", refused(identities.CheckCurp,
		&identity.CheckCurpRequest{Curp: "MUCH900101HDFSND01"}, limit))
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(explain(err), ": ", err)
	}
}
