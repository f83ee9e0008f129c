package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

const (
	// longest is as long as the gateway itself gives a call that names no deadline.
	longest = 30 * time.Second
	// attempts of a call of which the gateway did not say how long its answer can be had.
	attempts = 5
)

// NewRequestID makes a request_id: one for each question, kept with it for as long as it is asked again.
func NewRequestID() string { return uuid.NewString() }

// UntilAnswered makes a call, and makes it again with twice the time whenever its deadline has passed. By its request_id,
// which it must have, it is the same call for the gateway: what was paid for is not paid for again. When the answer cannot
// be had any more, the call has failed otherwise or ctx is done, the error is returned. late, if it is not nil, is told of
// each error before that.
func UntilAnswered[Request proto.Message, Response any](ctx context.Context,
	rpc func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request, limit time.Duration,
	late func(*Error)) (Response, error) {
	var none Response
	if id := request.ProtoReflect().Descriptor().Fields().ByName("request_id"); id == nil ||
		request.ProtoReflect().Get(id).String() == "" {
		return none, errors.New("without a request_id a call that is made again may be charged again")
	}
	var until time.Time
	for attempt := 1; ; attempt++ {
		response, err := within(ctx, rpc, request, limit)
		if err == nil {
			return response, nil
		}
		failed := AsError(err)
		if failed.Code != codes.DeadlineExceeded || ctx.Err() != nil {
			return none, failed
		}
		if failed.Reason != "" && failed.Reason != "DEADLINE_EXCEEDED" {
			// The provider's time has passed, and not this call's: there will be no answer.
			return none, failed
		}
		if !failed.RecoverableUntil.IsZero() {
			until = failed.RecoverableUntil
		}
		// `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
		if until.IsZero() && attempt == attempts || !until.IsZero() && !time.Now().Before(until) {
			return none, failed
		}
		if late != nil {
			late(failed)
		}
		limit = min(2*limit, longest)
	}
}

func within[Request, Response any](ctx context.Context,
	rpc func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request,
	limit time.Duration) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return rpc(ctx, request)
}
