// Tests of a service that asks the identity gateway: the gateway's image, its providers played by the sandbox in it.
//
// Each test has a gateway of its own, so that tests run side by side and each reads a ledger that is only its own.
package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "example.com/identity-gateway-tests/gen/idgw/identity/v1"
)

// gateway is a container with the gateway and its sandbox, on ports of this machine that were free.
type gateway struct {
	pb.IdentityServiceClient
	sandbox string
}

func start(t *testing.T) gateway {
	t.Helper()
	image := cmp.Or(os.Getenv("GATEWAY_IMAGE"), "localhost/identity-gateway:0.1.0")
	container, err := testcontainers.Run(t.Context(), image,
		testcontainers.WithCmd("serve", "--sandbox"),
		testcontainers.WithEnv(map[string]string{
			// Only `--sandbox` on loopback needs no mode, and a container's ports are not loopback.
			"IDGW_AUTH__MODE": "none",
			// The sandbox's own page, ledger and last requests.
			"IDGW_SANDBOX__LISTEN":   "0.0.0.0:8090",
			"IDGW_SANDBOX__FIXTURES": "/fixtures.toml",
			// It ends at once: no load balancer has to notice.
			"IDGW_SERVER__LAME_DUCK": "0s",
		}),
		// Copied, not mounted: the image's user can read it whoever owns it here, also where Docker is elsewhere.
		testcontainers.WithFiles(testcontainers.ContainerFile{
			HostFilePath: "../fixtures.toml", ContainerFilePath: "/fixtures.toml", FileMode: 0o644,
		}),
		testcontainers.WithExposedPorts("50051/tcp", "8090/tcp", "9464/tcp"),
		// The image has no shell: strategies that run a command in it through one do not work.
		testcontainers.WithWaitStrategy(wait.ForHTTP("/readyz").WithPort("9464/tcp")),
	)
	testcontainers.CleanupContainer(t, container)
	check(t, err)

	address, err := container.PortEndpoint(t.Context(), "50051/tcp", "")
	check(t, err)
	sandbox, err := container.PortEndpoint(t.Context(), "8090/tcp", "http")
	check(t, err)
	channel, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() { channel.Close() })
	return gateway{pb.NewIdentityServiceClient(channel), sandbox}
}

// seen reads what the providers have seen: `ledger` or `requests`.
func (g gateway) seen(t *testing.T, what string, into any) {
	t.Helper()
	answer, err := http.Get(g.sandbox + "/_sandbox/" + what)
	check(t, err)
	defer answer.Body.Close()
	check(t, json.NewDecoder(answer.Body).Decode(into))
}

type request struct {
	Path   string
	Status int
}

func TestAPersonOfOursIsFoundAndPaidForOnce(t *testing.T) {
	t.Parallel()
	gateway, ctx := start(t), soon(t)

	answer, err := gateway.CheckCurp(ctx, &pb.CheckCurpRequest{Curp: "GORE561231MDFDZL09"})
	check(t, err)
	same(t, answer.GetRecord().GetGivenName(), "ELENA")
	same(t, answer.GetRecord().GetFirstFamilyName(), "GODOY")

	var ledger map[string]struct{ Received, Billed int }
	gateway.seen(t, "ledger", &ledger)
	same(t, ledger["accuauth"].Received, 1)
	same(t, ledger["accuauth"].Billed, 1)
	var requests []request
	gateway.seen(t, "requests", &requests)
	same(t, len(requests), 1)
	same(t, requests[0], request{"/verify/id_check", 200})
}

func TestAnAccountWithoutCreditIsAnErrorThatSaysSoAndCostsNothing(t *testing.T) {
	t.Parallel()
	gateway, ctx := start(t), soon(t)
	wanted := &pb.ScrubKenyaIdRequest{
		Id: "22334455", IdType: pb.KenyaIdType_KENYA_ID_TYPE_NATIONAL_ID, SubjectConsent: true,
	}

	_, err := gateway.ScrubKenyaId(ctx, wanted)
	refused := status.Convert(err)
	same(t, refused.Code(), codes.ResourceExhausted)
	var info *errdetails.ErrorInfo
	for _, detail := range refused.Details() {
		if found, is := detail.(*errdetails.ErrorInfo); is {
			info = found
		}
	}
	same(t, info.GetReason(), "PROVIDER_QUOTA_EXHAUSTED")
	same(t, info.GetMetadata()["billing"], "not_billed")

	// The next answer of the sequence.
	answer, err := gateway.ScrubKenyaId(ctx, wanted)
	check(t, err)
	same(t, answer.GetRecord().GetGivenName(), "Wanjiru")
	var requests []request
	gateway.seen(t, "requests", &requests)
	same(t, len(requests), 2)
	same(t, requests[1].Status, 402)
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T comparable](t *testing.T, is, wanted T) {
	t.Helper()
	if is != wanted {
		t.Fatalf("is %v, wanted %v", is, wanted)
	}
}
