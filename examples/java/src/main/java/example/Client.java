package example;

import com.google.gson.Gson;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import idgw.identity.v1.IdentityServiceGrpc;
import idgw.identity.v1.IdentityServiceOuterClass.CheckCurpRequest;
import idgw.identity.v1.IdentityServiceOuterClass.ScrubKenyaIdRequest;
import idgw.identity.v1.IdentityServiceOuterClass.VerifyPeForeignerIdRequest;
import idgw.identity.v1.KenyaId.KenyaIdType;
import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.CompositeChannelCredentials;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
import idgw.person.v1.PersonOuterClass.Person;
import idgw.person.v1.PersonServiceGrpc;
import idgw.person.v1.PersonServiceOuterClass.CreatePersonRequest;
import idgw.person.v1.PersonServiceOuterClass.GetPersonRequest;

/** A complete client of the identity gateway. docs/clients.md says how to run it and what it shows. */
public final class Client {
  private static final Metadata.Key<String> AUTHORIZATION = key("authorization");
  private static final Metadata.Key<String> TRACEPARENT = key("traceparent");

  /** Sends the token with each call. The file is read each time: tokens are renewed in place. */
  private static final class BearerToken extends CallCredentials {
    private final Path file;

    BearerToken(Path file) {
      this.file = file;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      executor.execute(
          () -> {
            try {
              Metadata headers = new Metadata();
              headers.put(AUTHORIZATION, "Bearer " + Files.readString(file).strip());
              applier.apply(headers);
            } catch (IOException error) {
              applier.fail(Status.UNAUTHENTICATED.withCause(error));
            }
          });
    }
  }

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
  private static ManagedChannel connect(String traceId) throws IOException {
    String caFile = System.getenv("GATEWAY_CA_FILE");
    String tokenFile = System.getenv("GATEWAY_TOKEN_FILE");
    if (caFile == null && tokenFile != null) {
      throw new IOException("GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear");
    }
    ChannelCredentials credentials =
        caFile == null
            ? InsecureChannelCredentials.create()
            : TlsChannelCredentials.newBuilder().trustManager(new File(caFile)).build();
    if (tokenFile != null) {
      credentials = CompositeChannelCredentials.create(credentials, new BearerToken(Path.of(tokenFile)));
    }
    Path serviceConfig =
        Path.of(setting("GATEWAY_SERVICE_CONFIG", "../../deploy/client/service-config.json"));
    @SuppressWarnings("unchecked")
    Map<String, ?> config = new Gson().fromJson(Files.readString(serviceConfig), Map.class);
    return Grpc.newChannelBuilder(setting("GATEWAY_ADDRESS", "localhost:50051"), credentials)
        .defaultServiceConfig(config)
        .intercept(new TraceContext(traceId))
        .build();
  }

  /**
   * What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come
   * again.
   */
  private static String explain(StatusRuntimeException error) throws InvalidProtocolBufferException {
    if (error.getStatus().getCode() == Status.Code.DEADLINE_EXCEEDED) {
      // It has details only if the gateway's answer was quicker than the library's own clock.
      return error.getStatus().getCode().toString();
    }
    String cause = "";
    String fields = "";
    String again = "";
    for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        ErrorInfo info = detail.unpack(ErrorInfo.class);
        Map<String, String> known = info.getMetadataMap();
        cause = " " + info.getReason();
        if (known.containsKey("billing")) {
          cause += " by " + known.get("provider") + ", " + known.get("billing");
        }
      } else if (detail.is(BadRequest.class)) {
        fields =
            detail.unpack(BadRequest.class).getFieldViolationsList().stream()
                .map(BadRequest.FieldViolation::getField)
                .sorted()
                .collect(Collectors.joining(", ", " in ", ""));
      } else if (detail.is(RetryInfo.class)) {
        again = ", again after " + detail.unpack(RetryInfo.class).getRetryDelay().getSeconds() + " s";
      }
    }
    return error.getStatus().getCode() + cause + fields + again;
  }

  /** Makes a call that must fail; its explanation. */
  private static <Q extends Message> String refused(Function<Q, ?> call, Q request)
      throws InvalidProtocolBufferException {
    try {
      call.apply(request);
    } catch (StatusRuntimeException error) {
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

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  private static void run(ManagedChannel channel) throws InvalidProtocolBufferException {
    // A deadline counts from the moment when it is set: each call takes a stub with its own.
    var identities = IdentityServiceGrpc.newBlockingStub(channel);
    var persons = PersonServiceGrpc.newBlockingStub(channel);

    // A verification. The answer says what was found, who said it, and what it cost.
    var answer =
        identities
            .withDeadlineAfter(10, TimeUnit.SECONDS)
            .checkCurp(CheckCurpRequest.newBuilder().setCurp("RAZR811011HVZXPB01").build());
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
            .build();
    var nobody = identities.withDeadlineAfter(10, TimeUnit.SECONDS).scrubKenyaId(kenyan).getVerification();
    System.out.printf("nobody: %s by %s%n", nobody.getOutcome(), nobody.getProvider());

    // Errors, read by their details. The message is for people; programs go by code and reason. These calls set
    // no deadline: the service config has one for each.
    var bad =
        VerifyPeForeignerIdRequest.newBuilder().setDocumentNumber("?").setBirthdate("2999-01-01").build();
    System.out.println("bad request: " + refused(identities::verifyPeForeignerId, bad));
    var noConsent = kenyan.toBuilder().setSubjectConsent(false).build();
    System.out.println("no consent: " + refused(identities::scrubKenyaId, noConsent));
    var down = CheckCurpRequest.newBuilder().setCurp("DOWN900101HDFSND09").build();
    System.out.println("provider down: " + refused(identities::checkCurp, down));
    var slow = kenyan.toBuilder().setId("900002002").build();
    var hasty = identities.withDeadlineAfter(1, TimeUnit.SECONDS);
    System.out.println("too slow: " + refused(hasty::scrubKenyaId, slow));

    // A create can be sent again with its request_id: it returns the first answer.
    var create =
        CreatePersonRequest.newBuilder()
            .setPerson(Person.newBuilder().setGivenName("Grace").setFamilyName("Muster"))
            .setRequestId(UUID.randomUUID().toString())
            .build();
    var first = persons.withDeadlineAfter(10, TimeUnit.SECONDS).createPerson(create).getPerson();
    var again = persons.withDeadlineAfter(10, TimeUnit.SECONDS).createPerson(create).getPerson();
    System.out.println("created: " + (first.getId().equals(again.getId()) ? "once" : "twice"));

    // A read is free: after UNAVAILABLE the library repeats it as the service config says.
    var byId = GetPersonRequest.newBuilder().setId(first.getId()).build();
    var read = persons.withDeadlineAfter(10, TimeUnit.SECONDS).getPerson(byId).getPerson();
    System.out.println("read: " + read.getGivenName() + " " + read.getVerificationStatus());
    var failing = GetPersonRequest.newBuilder().setId("person_outofservice").build();
    System.out.println("read, provider down: " + refused(persons::getPerson, failing));

    var limited = CheckCurpRequest.newBuilder().setCurp("MUCH900101HDFSND01").build();
    System.out.println("rate limit: " + refused(identities::checkCurp, limited));
  }

  public static void main(String[] arguments) throws Exception {
    String traceparent = System.getenv("TRACEPARENT");
    String traceId = traceparent == null ? randomHex(16) : traceparent.split("-")[1];
    System.out.println("trace: " + traceId);
    ManagedChannel channel = connect(traceId);
    try {
      run(channel);
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private Client() {}
}
