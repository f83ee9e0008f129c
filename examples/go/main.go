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

// largestReply is what the gateway sends at most (server.max_response_bytes). Libraries take 4 MiB unless told otherwise,
// which is too little for images and documents.
const largestReply = 16 << 20

// serviceConfig reads the service config. Without waitForReady calls fail at once while no gateway can be reached.
func serviceConfig() (string, error) {
	config, err := os.ReadFile(setting("GATEWAY_SERVICE_CONFIG", "../../deploy/client/service-config.json"))
	return string(config), err
}

// connect makes a channel by the environment: TLS if there is a CA file, a token if there is a token file.
func connect(traceID, address, serviceConfig string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestReply)),
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
	return grpc.NewClient(address, options...)
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
	// Without ErrorInfo it is not the gateway's: nobody says what it cost, or whether anything was sent.
	cause, fields, again := " without ErrorInfo", "", ""
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

const (
	// longest is as long as the gateway itself gives a call that names no deadline.
	longest = 30 * time.Second
	// attempts of a call of which the gateway did not say how long its answer can be had.
	attempts = 5
)

// untilAnswered makes a call whose request has a request_id, and again with twice the time whenever its deadline has
// passed. It is the same call for the gateway: what was paid for is not paid for again. late is told of each error
// that is not the last. When the answer cannot be had any more, or the call has failed otherwise, that error is returned.
func untilAnswered[Request, Response any](rpc method[Request, Response], request Request, limit time.Duration,
	late func(error)) (Response, error) {
	var until time.Time
	for attempt := 1; ; attempt++ {
		response, err := call(rpc, request, limit)
		if status.Code(err) != codes.DeadlineExceeded {
			return response, err
		}
		for _, detail := range status.Convert(err).Details() {
			info, isInfo := detail.(*errdetails.ErrorInfo)
			if !isInfo {
				continue
			}
			if info.Reason != "DEADLINE_EXCEEDED" {
				// The provider's time has passed, and not this call's: there will be no answer.
				return response, err
			}
			if latest, err := time.Parse(time.RFC3339, info.Metadata["recoverable_until"]); err == nil {
				until = latest
			}
		}
		// `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
		if until.IsZero() && attempt == attempts || !until.IsZero() && !time.Now().Before(until) {
			return response, err
		}
		late(err)
		limit = min(2*limit, longest)
	}
}

// isRecovered tells whether an earlier call has paid for the answer. It was there already, or still on its way to that
// call.
func isRecovered(verification *identity.Verification) bool {
	source := verification.Source
	return source == identity.Source_SOURCE_RECOVERED || source == identity.Source_SOURCE_COALESCED
}

// newID makes a request_id: one for each question, kept for as long as it is asked again.
func newID() string { return uuid.NewString() }

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
	config, err := serviceConfig()
	if err != nil {
		return err
	}
	conn, err := connect(traceID, setting("GATEWAY_ADDRESS", "localhost:50051"), config)
	if err != nil {
		return err
	}
	defer conn.Close()
	identities, persons := identity.NewIdentityServiceClient(conn), person.NewPersonServiceClient(conn)
	const limit = 10 * time.Second

	// A verification. The answer says what was found, who said it, and what it cost.
	answer, err := call(identities.CheckCurp,
		&identity.CheckCurpRequest{Curp: "RAZR811011HVZXPB01", RequestId: newID()}, limit)
	if err != nil {
		return err
	}
	found := answer.Verification
	fmt.Printf("found: %s by %s, %s, %s\n", found.Outcome, found.Provider, found.Billing, answer.Record.Status)

	// Nobody by that number: a successful call, not an error.
	nobody, err := call(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "00000000", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, SubjectConsent: true,
		RequestId: newID()}, limit)
	if err != nil {
		return err
	}
	fmt.Printf("nobody: %s by %s\n", nobody.Verification.Outcome, nobody.Verification.Provider)

	// Errors, read by their details. The message is for people; programs go by code and reason.
	fmt.Println("bad request:", refused(identities.VerifyPeForeignerId,
		&identity.VerifyPeForeignerIdRequest{DocumentNumber: "?", Birthdate: "2999-01-01", RequestId: newID()}, limit))
	fmt.Println("no consent:", refused(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "1234567", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, RequestId: newID()}, limit))
	fmt.Println("provider down:", refused(identities.CheckCurp,
		&identity.CheckCurpRequest{Curp: "DOWN900101HDFSND09", RequestId: newID()}, limit))

	// A registry that takes longer than the call may: the same call again gets what the first one has paid for.
	var tooLate []error
	late, err := untilAnswered(identities.ScrubKenyaId, &identity.ScrubKenyaIdRequest{
		Id: "900002001", IdType: identity.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, SubjectConsent: true,
		RequestId: newID()}, time.Second, func(err error) { tooLate = append(tooLate, err) })
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
		RequestId: newID(),
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
		&identity.CheckCurpRequest{Curp: "MUCH900101HDFSND01", RequestId: newID()}, limit))

	// No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request
	// was sent: so it is asked again with the same request_id, which never pays twice.
	nowhere, err := connect(traceID, "localhost:1", strings.ReplaceAll(config, `"waitForReady": true`, `"waitForReady": false`))
	if err != nil {
		return err
	}
	defer nowhere.Close()
	fmt.Println("gateway down:", refused(identity.NewIdentityServiceClient(nowhere).CheckCurp,
		&identity.CheckCurpRequest{Curp: "RAZR811011HVZXPB01", RequestId: newID()}, limit))
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(explain(err), ": ", err)
	}
}
