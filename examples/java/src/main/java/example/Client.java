package example;

import com.google.gson.Gson;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
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
import idgw.identity.v1.VerificationOuterClass.Source;
import idgw.identity.v1.VerificationOuterClass.Verification;
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
import io.grpc.stub.AbstractStub;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import idgw.person.v1.PersonOuterClass.BiometricData;
import idgw.person.v1.PersonOuterClass.Person;
import idgw.person.v1.PersonOuterClass.PersonView;
import idgw.person.v1.PersonServiceGrpc;
import idgw.person.v1.PersonServiceOuterClass.CreatePersonRequest;
import idgw.person.v1.PersonServiceOuterClass.GetPersonRequest;

/** A complete client of the identity gateway. docs/clients.md says how to run it and what it shows. */
public final class Client {
  private static final Metadata.Key<String> AUTHORIZATION = key("authorization");
  private static final Metadata.Key<String> TRACEPARENT = key("traceparent");
  /** As long as the gateway itself gives a call that names no deadline. */
  private static final Duration LONGEST = Duration.ofSeconds(30);
  /** The attempts of a call of which the gateway did not say how long its answer can be had. */
  private static final int ATTEMPTS = 5;
  /**
   * What the gateway sends at most (`server.max_response_bytes`). Libraries take 4 MiB unless told otherwise, which is
   * too little for images and documents.
   */
  private static final int LARGEST_REPLY = 16 << 20;

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

  /** The service config. Without `waitForReady` calls fail at once while no gateway can be reached. */
  private static String serviceConfig() throws IOException {
    return Files.readString(
        Path.of(setting("GATEWAY_SERVICE_CONFIG", "../../deploy/client/service-config.json")));
  }

  /** A channel by the environment: TLS if there is a CA file, a token if there is a token file. */
  private static ManagedChannel connect(String traceId, String address, String serviceConfig) throws IOException {
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
    @SuppressWarnings("unchecked")
    Map<String, ?> config = new Gson().fromJson(serviceConfig, Map.class);
    return Grpc.newChannelBuilder(address, credentials)
        .defaultServiceConfig(config)
        .maxInboundMessageSize(LARGEST_REPLY)
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
    // Without ErrorInfo it is not the gateway's: nobody says what it cost, or whether anything was sent.
    String cause = " without ErrorInfo";
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

  /** A call of a stub. */
  private interface Rpc<S, Q, A> {
    A call(S stub, Q request);
  }

  /**
   * Makes a call whose request has a `request_id`, and again with twice the time whenever its deadline has passed. It
   * is the same call for the gateway: what was paid for is not paid for again. `late` is told of each error that is
   * not the last. When the answer cannot be had any more, or the call has failed otherwise, that error is thrown.
   */
  private static <S extends AbstractStub<S>, Q, A> A untilAnswered(
      S stub, Rpc<S, Q, A> rpc, Q request, Duration limit, Consumer<StatusRuntimeException> late)
      throws InvalidProtocolBufferException {
    Instant until = null;
    for (int attempt = 1; ; attempt++) {
      try {
        return rpc.call(stub.withDeadlineAfter(limit.toMillis(), TimeUnit.MILLISECONDS), request);
      } catch (StatusRuntimeException error) {
        if (error.getStatus().getCode() != Status.Code.DEADLINE_EXCEEDED) {
          throw error;
        }
        for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
          if (!detail.is(ErrorInfo.class)) {
            continue;
          }
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          if (!info.getReason().equals("DEADLINE_EXCEEDED")) {
            throw error; // The provider's time has passed, and not this call's: there will be no answer.
          }
          if (info.containsMetadata("recoverable_until")) {
            until = Instant.parse(info.getMetadataOrThrow("recoverable_until"));
          }
        }
        // `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
        boolean isOver = until == null ? attempt == ATTEMPTS : !Instant.now().isBefore(until);
        if (isOver) {
          throw error;
        }
        late.accept(error);
      }
      limit = limit.multipliedBy(2).compareTo(LONGEST) < 0 ? limit.multipliedBy(2) : LONGEST;
    }
  }

  /** Whether an earlier call has paid for the answer. It was there already, or still on its way to that call. */
  private static boolean isRecovered(Verification verification) {
    return verification.getSource() == Source.SOURCE_RECOVERED
        || verification.getSource() == Source.SOURCE_COALESCED;
  }

  /** A `request_id`: one for each question, kept for as long as it is asked again. */
  private static String newId() {
    return UUID.randomUUID().toString();
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
    var curp = CheckCurpRequest.newBuilder().setCurp("RAZR811011HVZXPB01").setRequestId(newId()).build();
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
            .setRequestId(newId())
            .build();
    var nobody = identities.withDeadlineAfter(10, TimeUnit.SECONDS).scrubKenyaId(kenyan).getVerification();
    System.out.printf("nobody: %s by %s%n", nobody.getOutcome(), nobody.getProvider());

    // Errors, read by their details. The message is for people; programs go by code and reason. These calls set
    // no deadline: the service config has one for each.
    var bad =
        VerifyPeForeignerIdRequest.newBuilder()
            .setDocumentNumber("?")
            .setBirthdate("2999-01-01")
            .setRequestId(newId())
            .build();
    System.out.println("bad request: " + refused(identities::verifyPeForeignerId, bad));
    var noConsent = kenyan.toBuilder().setSubjectConsent(false).setRequestId(newId()).build();
    System.out.println("no consent: " + refused(identities::scrubKenyaId, noConsent));
    var down = curp.toBuilder().setCurp("DOWN900101HDFSND09").setRequestId(newId()).build();
    System.out.println("provider down: " + refused(identities::checkCurp, down));

    // A registry that takes longer than the call may: the same call again gets what the first one has paid for.
    var slow = kenyan.toBuilder().setId("900002001").setRequestId(newId()).build();
    List<StatusRuntimeException> errors = new ArrayList<>();
    var late =
        untilAnswered(
                identities,
                IdentityServiceGrpc.IdentityServiceBlockingStub::scrubKenyaId,
                slow,
                Duration.ofSeconds(1),
                errors::add)
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
            .setRequestId(newId())
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

    var limited = curp.toBuilder().setCurp("MUCH900101HDFSND01").setRequestId(newId()).build();
    System.out.println("rate limit: " + refused(identities::checkCurp, limited));
  }

  /**
   * No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request
   * was sent: so it is asked again with the same request_id, which never pays twice.
   */
  private static void runWithoutGateway(ManagedChannel nowhere) throws InvalidProtocolBufferException {
    var curp = CheckCurpRequest.newBuilder().setCurp("RAZR811011HVZXPB01").setRequestId(newId()).build();
    var identities = IdentityServiceGrpc.newBlockingStub(nowhere).withDeadlineAfter(10, TimeUnit.SECONDS);
    System.out.println("gateway down: " + refused(identities::checkCurp, curp));
  }

  public static void main(String[] arguments) throws Exception {
    String traceparent = System.getenv("TRACEPARENT");
    String traceId = traceparent == null ? randomHex(16) : traceparent.split("-")[1];
    System.out.println("trace: " + traceId);
    String config = serviceConfig();
    ManagedChannel channel = connect(traceId, setting("GATEWAY_ADDRESS", "localhost:50051"), config);
    ManagedChannel nowhere =
        connect(traceId, "localhost:1", config.replace("\"waitForReady\": true", "\"waitForReady\": false"));
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
