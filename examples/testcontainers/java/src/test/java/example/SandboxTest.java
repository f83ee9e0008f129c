package example;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import com.google.rpc.ErrorInfo;
import idgw.identity.v1.CheckCurpRequest;
import idgw.identity.v1.IdentityServiceGrpc;
import idgw.identity.v1.IdentityServiceGrpc.IdentityServiceBlockingStub;
import idgw.identity.v1.KenyaIdType;
import idgw.identity.v1.ScrubKenyaIdRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;
import org.testcontainers.utility.MountableFile;

/**
 * Tests of a service that asks the identity gateway: the gateway's image, its providers played by the sandbox in it.
 *
 * <p>Each test has a gateway of its own, so that tests run side by side and each reads a ledger that is only its own.
 */
class SandboxTest {
  private static final String IMAGE =
      System.getenv().getOrDefault("GATEWAY_IMAGE", "localhost/identity-gateway:0.1.0");

  /** A container with the gateway and its sandbox, on ports of this machine that were free. */
  private final GenericContainer<?> gateway =
      new GenericContainer<>(DockerImageName.parse(IMAGE))
          .withCommand("serve", "--sandbox")
          // Only `--sandbox` on loopback needs no mode, and a container's ports are not loopback.
          .withEnv("IDGW_AUTH__MODE", "none")
          // The sandbox's own page, ledger and last requests.
          .withEnv("IDGW_SANDBOX__LISTEN", "0.0.0.0:8090")
          .withEnv("IDGW_SANDBOX__FIXTURES", "/fixtures.toml")
          // It ends at once: no load balancer has to notice.
          .withEnv("IDGW_SERVER__LAME_DUCK", "0s")
          // Copied, not mounted: the image's user can read it whoever owns it here, also where Docker is elsewhere.
          .withCopyFileToContainer(MountableFile.forHostPath("../fixtures.toml", 0644), "/fixtures.toml")
          .withExposedPorts(50051, 8090, 9464)
          // The image has no shell: strategies that run a command in it through one do not work.
          .waitingFor(Wait.forHttp("/readyz").forPort(9464));

  private ManagedChannel channel;

  @BeforeEach
  void start() {
    gateway.start();
    channel = Grpc.newChannelBuilder(address(50051), InsecureChannelCredentials.create()).build();
  }

  @AfterEach
  void stop() {
    if (channel != null) {
      channel.shutdownNow();
    }
    gateway.stop();
  }

  @Test
  void aPersonOfOursIsFoundAndPaidForOnce() throws Exception {
    var answer = identity().checkCurp(CheckCurpRequest.newBuilder().setCurp("GORE561231MDFDZL09").build());
    assertEquals("ELENA", answer.getRecord().getGivenName());
    assertEquals("GODOY", answer.getRecord().getFirstFamilyName());

    var ledger = seen("ledger").getAsJsonObject().getAsJsonObject("accuauth");
    assertEquals(1, ledger.get("received").getAsInt());
    assertEquals(1, ledger.get("billed").getAsInt());
    var requests = seen("requests").getAsJsonArray();
    assertEquals(1, requests.size());
    assertEquals("/verify/id_check", requests.get(0).getAsJsonObject().get("path").getAsString());
  }

  @Test
  void anAccountWithoutCreditIsAnErrorThatSaysSoAndCostsNothing() throws Exception {
    var wanted =
        ScrubKenyaIdRequest.newBuilder()
            .setId("22334455")
            .setIdType(KenyaIdType.KENYA_ID_TYPE_NATIONAL_ID)
            .setSubjectConsent(true)
            .build();
    var refused = assertThrows(StatusRuntimeException.class, () -> identity().scrubKenyaId(wanted));
    var info = StatusProto.fromThrowable(refused).getDetailsList().stream().filter(any -> any.is(ErrorInfo.class));
    var why = info.findFirst().orElseThrow().unpack(ErrorInfo.class);
    assertEquals("PROVIDER_QUOTA_EXHAUSTED", why.getReason());
    assertEquals("not_billed", why.getMetadataOrThrow("billing"));

    // The next answer of the sequence.
    assertEquals("Wanjiru", identity().scrubKenyaId(wanted).getRecord().getGivenName());
    var requests = seen("requests").getAsJsonArray();
    assertEquals(2, requests.size());
    assertEquals(402, requests.get(1).getAsJsonObject().get("status").getAsInt());
  }

  private String address(int port) {
    return gateway.getHost() + ":" + gateway.getMappedPort(port);
  }

  private IdentityServiceBlockingStub identity() {
    return IdentityServiceGrpc.newBlockingStub(channel).withDeadlineAfter(10, TimeUnit.SECONDS);
  }

  /** What the providers have seen: {@code ledger} or {@code requests}. */
  private JsonElement seen(String what) throws Exception {
    var page = HttpRequest.newBuilder(URI.create("http://" + address(8090) + "/_sandbox/" + what)).build();
    return JsonParser.parseString(HttpClient.newHttpClient().send(page, BodyHandlers.ofString()).body());
  }
}
