// Package gateway is what a caller of the identity gateway needs beside the generated clients: a channel, a token for
// each call, typed errors, and a call that is made again until its answer is there and is paid for once.
package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed" // the service configs
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // asks for health as the service config says
)

// ServiceConfig fits every caller: the library repeats what is never charged.
//
//go:embed service-config.json
var ServiceConfig string

// ServiceConfigForRequestIDs is for callers that set a request_id on every lookup and create: these are repeated, too.
//
//go:embed service-config.request-id.json
var ServiceConfigForRequestIDs string

// largestReply is what the gateway sends at most (server.max_response_bytes). The library takes 4 MiB unless told
// otherwise, which is too little for images and documents.
const largestReply = 16 << 20

// Options of a channel. The zero value speaks TLS, trusts whom the system trusts, and sends no token.
type Options struct {
	// Plaintext speaks no TLS: for a sandbox on the same machine, or where a mesh encrypts.
	Plaintext bool
	// CAFile has the certificates (PEM) that the gateway's is verified against; the system's if it is empty.
	CAFile string
	// Token is asked for a bearer token before each call; see TokenFile. It is not sent without TLS.
	Token func(context.Context) (string, error)
	// ServiceConfig is this package's ServiceConfig if it is empty.
	ServiceConfig string
	// FailFast lets calls fail at once while no gateway can be reached. Without it they wait until their deadlines.
	FailFast bool
}

// Connect makes a channel, which connects when it is first needed. Its errors are of type *Error. Further options come
// last, and so replace what they are about.
func Connect(address string, options Options, further ...grpc.DialOption) (*grpc.ClientConn, error) {
	transport, err := options.transport()
	if err != nil {
		return nil, err
	}
	config := options.ServiceConfig
	if config == "" {
		config = ServiceConfig
	}
	if options.FailFast {
		config = strings.ReplaceAll(config, `"waitForReady": true`, `"waitForReady": false`)
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(config),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestReply)),
		grpc.WithChainUnaryInterceptor(typed),
	}
	if options.Token != nil {
		dial = append(dial, grpc.WithPerRPCCredentials(bearer(options.Token)))
	}
	return grpc.NewClient(address, append(dial, further...)...)
}

func (o Options) transport() (credentials.TransportCredentials, error) {
	if o.Plaintext {
		if o.Token != nil {
			return nil, errors.New("a token is not sent in the clear: it needs TLS")
		}
		if o.CAFile != "" {
			return nil, errors.New("CAFile is for TLS, and Plaintext is none")
		}
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", o.CAFile)
		}
	}
	return credentials.NewTLS(config), nil
}

// TokenFile reads the token anew for each call: tokens are renewed in place.
func TokenFile(path string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		token, err := os.ReadFile(path)
		return strings.TrimSpace(string(token)), err
	}
}

// bearer sends the token of a function with each call.
type bearer func(context.Context) (string, error)

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return true }
