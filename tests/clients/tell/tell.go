// Makes calls with the package and prints what it knows: `tell ADDRESS errors|hasty|loop|inside CURP...`, a line of
// JSON for each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"

	"identity-gateway.example/gateway"
	identity "identity-gateway.example/gateway/idgw/identity/v1"
)

func main() {
	what := os.Args[2]
	options := gateway.Options{Plaintext: true}
	if what == "hasty" {
		options.FailFast, options.ServiceConfig = true, gateway.ServiceConfigForRequestIDs
	}
	conn, err := gateway.Connect(os.Args[1], options)
	if err != nil {
		log.Fatal(err)
	}
	client := identity.NewIdentityServiceClient(conn)
	for _, curp := range os.Args[3:] {
		asked := 1
		request := &identity.CheckCurpRequest{Curp: curp}
		limit := 3 * time.Minute
		switch what {
		case "inside":
			limit = 3 * time.Second
		case "hasty":
			limit = 10 * time.Second
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		if what == "errors" || what == "hasty" {
			_, err = client.CheckCurp(ctx, request)
		} else {
			if curp != "no id" {
				request.RequestId = gateway.NewRequestID()
			}
			_, err = gateway.UntilAnswered(ctx, client.CheckCurp, request, 10*time.Second,
				func(*gateway.Error) { asked++ })
		}
		cancel()
		told := tell(err)
		told["asked"] = asked
		line, err := json.Marshal(told)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(line))
	}
}

func tell(err error) map[string]any {
	var failed *gateway.Error
	if err == nil {
		return map[string]any{"code": "OK"}
	} else if !errors.As(err, &failed) {
		return map[string]any{"refused": err.Error()}
	}
	told := map[string]any{"code": code.Code(failed.Code).String(), "message": failed.Message, "reason": failed.Reason,
		"billing": failed.Billing, "metadata": failed.Metadata, "retry_after": nil, "recoverable_until": nil}
	if failed.Metadata == nil {
		told["metadata"] = map[string]string{}
	}
	violations := [][]string{}
	for _, violation := range failed.Violations {
		violations = append(violations, []string{violation.Field, violation.Description})
	}
	told["violations"] = violations
	if failed.RetryAfter > 0 {
		told["retry_after"] = failed.RetryAfter.Seconds()
	}
	if !failed.RecoverableUntil.IsZero() {
		told["recoverable_until"] = failed.RecoverableUntil.Unix()
	}
	return told
}
