package idgw.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A call that has failed. Programs go by {@link #code} and {@link #reason}; the message is for people. */
public final class GatewayException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** Of the ErrorInfo that the gateway makes. Proxies have others. */
  private static final String DOMAIN = "identity-gateway";

  /** One field of a request that is wrong. It has no value: values are personal data. */
  public record Violation(String field, String description) {}

  private final transient Status status;
  private final transient Details details;

  private static final class Details {
    String reason = "";
    String billing = "unknown";
    Map<String, String> metadata = Map.of();
    Duration retryAfter;
    Instant recoverableUntil;
    final List<Violation> violations = new ArrayList<>();
  }

  private GatewayException(Throwable error, Status status, Details details) {
    super(
        status.getCode()
            + (details.reason.isEmpty() ? "" : " " + details.reason)
            + ": "
            + (status.getDescription() == null ? "" : status.getDescription()),
        error);
    this.status = status;
    this.details = details;
  }

  /** Of an error that the library has thrown: StatusRuntimeException, StatusException. */
  public static GatewayException of(Throwable error) {
    if (error instanceof GatewayException known) {
      return known;
    }
    Details read = new Details();
    for (Any detail : details(error)) {
      try {
        take(detail, read);
      } catch (InvalidProtocolBufferException | ArithmeticException unreadable) {
        // What cannot be read is not there.
      }
    }
    return new GatewayException(error, Status.fromThrowable(error), read);
  }

  private static List<Any> details(Throwable error) {
    try {
      var status = StatusProto.fromThrowable(error);
      return status == null ? List.of() : status.getDetailsList();
    } catch (IllegalArgumentException unreadable) {
      return List.of();
    }
  }

  private static void take(Any detail, Details read) throws InvalidProtocolBufferException {
    if (detail.is(ErrorInfo.class)) {
      ErrorInfo info = detail.unpack(ErrorInfo.class);
      if (info.getDomain().equals(DOMAIN)) {
        read.reason = info.getReason();
        read.metadata = info.getMetadataMap();
        // The gateway says nothing of the cost where nothing was sent to a provider.
        read.billing = info.getMetadataOrDefault("billing", "not_billed");
        read.recoverableUntil = moment(info.getMetadataOrDefault("recoverable_until", ""));
      }
    } else if (detail.is(BadRequest.class)) {
      for (var violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
        read.violations.add(new Violation(violation.getField(), violation.getDescription()));
      }
    } else if (detail.is(RetryInfo.class)) {
      var delay = detail.unpack(RetryInfo.class).getRetryDelay();
      Duration wait = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
      read.retryAfter = wait.isNegative() ? Duration.ZERO : wait;
    }
  }

  private static Instant moment(String text) {
    try {
      return text.isEmpty() ? null : Instant.parse(text);
    } catch (DateTimeParseException unreadable) {
      return null;
    }
  }

  /** The gRPC code. */
  public Status.Code code() {
    return status.getCode();
  }

  /** One of docs/errors.md. It is empty if the gateway has not made this error, but the library or a proxy. */
  public String reason() {
    return details.reason;
  }

  /** Of the reason, such as {@code provider}, {@code provider_code} and {@code http_status}. */
  public Map<String, String> metadata() {
    return details.metadata;
  }

  /**
   * {@code billed}, {@code not_billed} or {@code unknown}, which it is of every error that the gateway has not made.
   */
  public String billing() {
    return details.billing;
  }

  /** All fields of the request that are wrong, for INVALID_FIELD and what is like it. */
  public List<Violation> violations() {
    return List.copyOf(details.violations);
  }

  /** How long to wait before the call is made again; empty if nothing is said of it. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(details.retryAfter);
  }

  /** How long the answer of a call whose deadline has passed can be had, with its {@code request_id}. */
  public Optional<Instant> recoverableUntil() {
    return Optional.ofNullable(details.recoverableUntil);
  }
}
