package gateway

import (
	"cmp"
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
	// firstPause and longestPause are between two attempts where nobody says how long to wait.
	firstPause, longestPause = time.Second, 10 * time.Second
	// longestWait: who is told to wait longer than that decides for himself.
	longestWait = time.Minute
)

// NewRequestID makes a request_id: one for each question, kept with it for as long as it is asked again.
func NewRequestID() string { return uuid.NewString() }

// UntilAnswered makes a call, and makes it again: with twice the time when its deadline has passed, after a pause when it
// was refused for now (as long as the gateway says, up to a minute) or when nothing is known because no gateway made the
// error. By its request_id, which it must have, it is the same call for the gateway: what was paid for is not paid for
// again. When the answer cannot be had any more, the call has failed otherwise or ctx is done, or would be before the next
// attempt, the error is returned. late, if it is not nil, is told of each error before that.
func UntilAnswered[Request proto.Message, Response any](ctx context.Context,
	rpc func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request, limit time.Duration,
	late func(*Error)) (Response, error) {
	var none Response
	if id := request.ProtoReflect().Descriptor().Fields().ByName("request_id"); id == nil ||
		request.ProtoReflect().Get(id).String() == "" {
		return none, errors.New("without a request_id a call that is made again may be charged again")
	}
	var until time.Time
	backoff := firstPause
	for attempt := 1; ; attempt++ {
		response, err := within(ctx, rpc, request, limit)
		if err == nil {
			return response, nil
		}
		failed := AsError(err)
		wait, again := pause(failed, backoff)
		if !again || wait > longestWait || ctx.Err() != nil {
			return none, failed
		}
		next := time.Now().Add(wait)
		if deadline, ok := ctx.Deadline(); ok && !next.Before(deadline) {
			return none, failed
		}
		if !failed.RecoverableUntil.IsZero() {
			until = failed.RecoverableUntil
		}
		// `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
		if until.IsZero() && attempt == attempts || !until.IsZero() && !next.Before(until) {
			return none, failed
		}
		if late != nil {
			late(failed)
		}
		if failed.Code == codes.DeadlineExceeded {
			limit = min(2*limit, longest)
			continue
		}
		backoff = min(2*backoff, longestPause)
		select {
		case <-ctx.Done():
			return none, failed
		case <-time.After(wait):
		}
	}
}

// pause says whether the call is made again after that error, and how long to wait before.
func pause(failed *Error, backoff time.Duration) (time.Duration, bool) {
	if failed.Code == codes.DeadlineExceeded && (failed.Reason == "" || failed.Reason == "DEADLINE_EXCEEDED") {
		// The time has passed already. With PROVIDER_TIMEOUT it is the provider's, and not this call's.
		return 0, true
	}
	if failed.Reason == "" {
		// No gateway made this error: nothing is known.
		return cmp.Or(failed.RetryAfter, backoff), true
	}
	refused := failed.Code == codes.Unavailable || failed.Code == codes.ResourceExhausted
	return failed.RetryAfter, refused && failed.RetryAfter > 0
}

func within[Request, Response any](ctx context.Context,
	rpc func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request,
	limit time.Duration) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return rpc(ctx, request)
}
