package gateway

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// domain of the ErrorInfo that the gateway makes. Proxies have others.
const domain = "identity-gateway"

// Error is a call that has failed. Programs go by Code and Reason; Message is for people. It is a status for grpc-go,
// too: status.Code and status.Convert take it.
type Error struct {
	Code    codes.Code
	Message string
	// Reason is one of docs/errors.md. It is empty if the gateway has not made this error, but a library or a proxy.
	Reason string
	// Metadata of the reason, such as provider, provider_code and http_status.
	Metadata map[string]string
	// Violations are all fields of the request that are wrong, for INVALID_FIELD and what is like it.
	Violations []Violation
	// RetryAfter is how long to wait before the call is made again; zero if nothing is said of it.
	RetryAfter time.Duration
	// Billing is `billed`, `not_billed` or `unknown`, which it is of every error that the gateway has not made.
	Billing string
	// RecoverableUntil is how long the answer of a call whose deadline has passed can be had, with its request_id; zero if
	// nothing is said of it.
	RecoverableUntil time.Time

	status *status.Status
}

// Violation is one field of a request that is wrong. It has no value: values are personal data.
type Violation struct{ Field, Description string }

func (e *Error) Error() string {
	words := []string{code.Code(e.Code).String(), e.Reason}
	if e.Reason == "" {
		words = words[:1]
	}
	return strings.Join(words, " ") + ": " + e.Message
}

// GRPCStatus makes it a status for grpc-go.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// AsError reads an error of a call, of whichever channel; nil if there is none.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	failed := status.Convert(err)
	e := &Error{Code: failed.Code(), Message: failed.Message(), Billing: "unknown", status: failed}
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == domain {
				e.takeInfo(detail)
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				e.Violations = append(e.Violations, Violation{violation.Field, violation.Description})
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = max(0, detail.RetryDelay.AsDuration())
		}
	}
	return e
}

func (e *Error) takeInfo(info *errdetails.ErrorInfo) {
	e.Reason, e.Metadata = info.Reason, info.Metadata
	e.Billing = info.Metadata["billing"]
	if e.Billing == "" {
		// The gateway says nothing of the cost where nothing was sent to a provider.
		e.Billing = "not_billed"
	}
	// What is no moment is none.
	e.RecoverableUntil, _ = time.Parse(time.RFC3339, info.Metadata["recoverable_until"])
}

// typed makes the errors of a channel's calls *Error.
func typed(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption) error {
	if err := invoke(ctx, method, request, reply, conn, options...); err != nil {
		return AsError(err)
	}
	return nil
}
