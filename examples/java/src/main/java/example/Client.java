package example;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import idgw.client.Calls;
import idgw.client.Gateway;
import idgw.client.GatewayException;
import idgw.identity.v1.CheckCurpRequest;
import idgw.identity.v1.IdentityServiceGrpc;
import idgw.identity.v1.IdentityServiceGrpc.IdentityServiceBlockingStub;
import idgw.identity.v1.KenyaIdType;
import idgw.identity.v1.ScrubKenyaIdRequest;
import idgw.identity.v1.Source;
import idgw.identity.v1.Verification;
import idgw.identity.v1.VerifyPeForeignerIdRequest;
import idgw.person.v1.BiometricData;
import idgw.person.v1.CreatePersonRequest;
import idgw.person.v1.GetPersonRequest;
import idgw.person.v1.Person;
import idgw.person.v1.PersonServiceGrpc;
import idgw.person.v1.PersonView;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;

/** A complete client of the identity gateway. docs/clients.md says how to run it and what it shows. */
public final class Client {
  private static final Metadata.Key<String> TRACEPARENT =
      Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);

  /**
   * Sends W3C trace context: each call is a span of its own in one trace. With OpenTelemetry in the program, use
   * its gRPC instrumentation instead.
   */
  private record TraceContext(String traceId) implements ClientInterceptor {
    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void start(Listener<A> listener, Metadata headers) {
          headers.put(TRACEPARENT, "00-" + traceId + "-" + randomHex(8) + "-01");
          super.start(listener, headers);
        }
      };
    }
  }

  /** A channel by the environment: TLS if there is a CA file, a token if there is a token file. */
  private static ManagedChannel connect(String traceId, Gateway gateway) throws IOException {
    String caFile = System.getenv("GATEWAY_CA_FILE");
    String tokenFile = System.getenv("GATEWAY_TOKEN_FILE");
    gateway = caFile == null ? gateway.plaintext() : gateway.caFile(Path.of(caFile));
    if (tokenFile != null) {
      gateway.token(Gateway.tokenFile(Path.of(tokenFile)));
    }
    return gateway.channel().intercept(new TraceContext(traceId)).build();
  }

  /** The service config: the package's, or another one. */
  private static String serviceConfig() throws IOException {
    String file = System.getenv("GATEWAY_SERVICE_CONFIG");
    return file == null ? Gateway.SERVICE_CONFIG : Files.readString(Path.of(file));
  }

  /**
   * What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come
   * again.
   */
  private static String explain(GatewayException error) {
    if (error.code() == Status.Code.DEADLINE_EXCEEDED) {
      // It has details only if the gateway's answer was quicker than the library's own clock.
      return error.code().toString();
    }
    // Without a reason it is not the gateway's: nobody says what it cost, or whether anything was sent.
    String text = error.code() + " " + (error.reason().isEmpty() ? "without ErrorInfo" : error.reason());
    if (error.metadata().containsKey("billing")) {
      text += " by " + error.metadata().get("provider") + ", " + error.billing();
    }
    if (!error.violations().isEmpty()) {
      text +=
          error.violations().stream()
              .map(GatewayException.Violation::field)
              .sorted()
              .collect(Collectors.joining(", ", " in ", ""));
    }
    return text + error.retryAfter().map(wait -> ", again after " + wait.toSeconds() + " s").orElse("");
  }

  /** Whether an earlier call has paid for the answer. It was there already, or still on its way to that call. */
  private static boolean isRecovered(Verification verification) {
    return verification.getSource() == Source.SOURCE_RECOVERED
        || verification.getSource() == Source.SOURCE_COALESCED;
  }

  /** Makes a call that must fail; its explanation. */
  private static <Q extends Message> String refused(Function<Q, ?> call, Q request) {
    try {
      Calls.typed(() -> call.apply(request));
    } catch (GatewayException error) {
      return explain(error);
    }
    throw new IllegalStateException(request.getDescriptorForType().getName() + " should have been refused");
  }

  private static String setting(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null ? otherwise : value;
  }

  private static String randomHex(int length) {
    byte[] random = new byte[length];
    new SecureRandom().nextBytes(random);
    return HexFormat.of().formatHex(random);
  }

  private static void run(ManagedChannel channel) {
    // A deadline counts from the moment when it is set: each call takes a stub with its own.
    var identities = IdentityServiceGrpc.newBlockingStub(channel);
    var persons = PersonServiceGrpc.newBlockingStub(channel);

    // A verification. The answer says what was found, who said it, and what it cost.
    var curp = CheckCurpRequest.newBuilder().setCurp("RAZR811011HVZXPB01").setRequestId(Calls.newRequestId()).build();
    var answer = identities.withDeadlineAfter(10, TimeUnit.SECONDS).checkCurp(curp);
    var found = answer.getVerification();
    System.out.printf(
        "found: %s by %s, %s, %s%n",
        found.getOutcome(), found.getProvider(), found.getBilling(), answer.getRecord().getStatus());

    // Nobody by that number: a successful call, not an error.
    var kenyan =
        ScrubKenyaIdRequest.newBuilder()
            .setId("00000000")
            .setIdType(KenyaIdType.KENYA_ID_TYPE_NATIONAL_ID)
            .setSubjectConsent(true)
            .setRequestId(Calls.newRequestId())
            .build();
    var nobody = identities.withDeadlineAfter(10, TimeUnit.SECONDS).scrubKenyaId(kenyan).getVerification();
    System.out.printf("nobody: %s by %s%n", nobody.getOutcome(), nobody.getProvider());

    // Errors, read by their details. The message is for people; programs go by code and reason. These calls set
    // no deadline: the service config has one for each.
    var bad =
        VerifyPeForeignerIdRequest.newBuilder()
            .setDocumentNumber("?")
            .setBirthdate("2999-01-01")
            .setRequestId(Calls.newRequestId())
            .build();
    System.out.println("bad request: " + refused(identities::verifyPeForeignerId, bad));
    var noConsent = kenyan.toBuilder().setSubjectConsent(false).setRequestId(Calls.newRequestId()).build();
    System.out.println("no consent: " + refused(identities::scrubKenyaId, noConsent));
    var down = curp.toBuilder().setCurp("DOWN900101HDFSND09").setRequestId(Calls.newRequestId()).build();
    System.out.println("provider down: " + refused(identities::checkCurp, down));

    // A registry that takes longer than the call may: the same call again gets what the first one has paid for.
    var slow = kenyan.toBuilder().setId("900002001").setRequestId(Calls.newRequestId()).build();
    List<GatewayException> errors = new ArrayList<>();
    var late =
        Calls.untilAnswered(
                identities, IdentityServiceBlockingStub::scrubKenyaId, slow, Duration.ofSeconds(1), errors::add)
            .getVerification();
    System.out.printf(
        "too slow: %s, then %s, %s%n",
        explain(errors.get(0)), late.getOutcome(), isRecovered(late) ? "recovered" : "asked again");

    // A create can be sent again with its request_id: it returns the first answer.
    var create =
        CreatePersonRequest.newBuilder()
            .setPerson(
                Person.newBuilder()
                    .setGivenName("Grace")
                    .setFamilyName("Muster")
                    .setBiometricData(BiometricData.newBuilder().setFaceImage(ByteString.copyFrom(new byte[5 << 20]))))
            .setRequestId(Calls.newRequestId())
            .build();
    var first = persons.withDeadlineAfter(10, TimeUnit.SECONDS).createPerson(create).getPerson();
    var again = persons.withDeadlineAfter(10, TimeUnit.SECONDS).createPerson(create).getPerson();
    System.out.println("created: " + (first.getId().equals(again.getId()) ? "once" : "twice"));

    // A read is free: after UNAVAILABLE the library repeats it as the service config says.
    var byId = GetPersonRequest.newBuilder().setId(first.getId()).setView(PersonView.PERSON_VIEW_FULL).build();
    var read = persons.withDeadlineAfter(10, TimeUnit.SECONDS).getPerson(byId).getPerson();
    System.out.printf(
        "read: %s %s, an image of %d MiB%n",
        read.getGivenName(), read.getVerificationStatus(), read.getBiometricData().getFaceImage().size() >> 20);
    var failing = GetPersonRequest.newBuilder().setId("person_outofservice").build();
    System.out.println("read, provider down: " + refused(persons::getPerson, failing));

    var limited = curp.toBuilder().setCurp("MUCH900101HDFSND01").setRequestId(Calls.newRequestId()).build();
    System.out.println("rate limit: " + refused(identities::checkCurp, limited));
  }

  /**
   * No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request
   * was sent: so it is asked again with the same request_id, which never pays twice.
   */
  private static void runWithoutGateway(ManagedChannel nowhere) {
    var curp = CheckCurpRequest.newBuilder().setCurp("RAZR811011HVZXPB01").setRequestId(Calls.newRequestId()).build();
    var identities = IdentityServiceGrpc.newBlockingStub(nowhere).withDeadlineAfter(10, TimeUnit.SECONDS);
    System.out.println("gateway down: " + refused(identities::checkCurp, curp));
  }

  public static void main(String[] arguments) throws Exception {
    String traceparent = System.getenv("TRACEPARENT");
    String traceId = traceparent == null ? randomHex(16) : traceparent.split("-")[1];
    System.out.println("trace: " + traceId);
    String config = serviceConfig();
    String address = setting("GATEWAY_ADDRESS", "localhost:50051");
    ManagedChannel channel = connect(traceId, Gateway.at(address).serviceConfig(config));
    ManagedChannel nowhere = connect(traceId, Gateway.at("localhost:1").serviceConfig(config).failFast());
    try {
      run(channel);
      runWithoutGateway(nowhere);
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
      nowhere.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private Client() {}
}
