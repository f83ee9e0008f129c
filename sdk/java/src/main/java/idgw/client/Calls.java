package idgw.client;

import com.google.protobuf.Message;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** Calls of the generated blocking stubs. */
public final class Calls {
  /** As long as the gateway itself gives a call that names no deadline. */
  private static final Duration LONGEST = Duration.ofSeconds(30);
  /** The attempts of a call of which the gateway did not say how long its answer can be had. */
  private static final int ATTEMPTS = 5;

  private Calls() {}

  /** A {@code request_id}: one for each question, kept with it for as long as it is asked again. */
  public static String newRequestId() {
    return UUID.randomUUID().toString();
  }

  /** Makes a call whose errors are {@link GatewayException}. */
  public static <A> A typed(Supplier<A> call) {
    try {
      return call.get();
    } catch (StatusRuntimeException error) {
      throw GatewayException.of(error);
    }
  }

  /** The same as the other, which tells {@code late} of errors. */
  public static <S extends AbstractStub<S>, Q extends Message, A> A untilAnswered(
      S stub, BiFunction<S, Q, A> rpc, Q request, Duration limit) {
    return untilAnswered(stub, rpc, request, limit, error -> {});
  }

  /**
   * Makes a call, and makes it again with twice the time whenever its deadline has passed. By its {@code request_id}, which
   * it must have, it is the same call for the gateway: what was paid for is not paid for again. When the answer cannot be
   * had any more, or the call has failed otherwise, the error is thrown. {@code late} is told of each error before that.
   */
  public static <S extends AbstractStub<S>, Q extends Message, A> A untilAnswered(
      S stub, BiFunction<S, Q, A> rpc, Q request, Duration limit, Consumer<GatewayException> late) {
    requireRequestId(request);
    Again again = new Again(limit);
    while (true) {
      try {
        long left = again.limit.toMillis();
        return typed(() -> rpc.apply(stub.withDeadlineAfter(left, TimeUnit.MILLISECONDS), request));
      } catch (GatewayException error) {
        if (again.isOver(error)) {
          throw error;
        }
        late.accept(error);
      }
    }
  }

  /** Refuses a request without a {@code request_id}. */
  static void requireRequestId(Message request) {
    var id = request.getDescriptorForType().findFieldByName("request_id");
    if (id == null || request.getField(id).equals("")) {
      throw new IllegalArgumentException("without a request_id a call that is made again may be charged again");
    }
  }

  /** Whether and for how long a call is made again. */
  static final class Again {
    Duration limit;
    private Optional<Instant> until = Optional.empty();
    private int attempts = 1;

    Again(Duration limit) {
      this.limit = limit;
    }

    /** Whether that error is the last; if not, the next attempt has twice the time. */
    boolean isOver(GatewayException error) {
      if (error.code() != Status.Code.DEADLINE_EXCEEDED) {
        return true;
      }
      if (!error.reason().isEmpty() && !error.reason().equals("DEADLINE_EXCEEDED")) {
        return true; // The provider's time has passed, and not this call's: there will be no answer.
      }
      until = error.recoverableUntil().or(() -> until);
      // It is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
      if (until.map(moment -> !Instant.now().isBefore(moment)).orElse(attempts == ATTEMPTS)) {
        return true;
      }
      limit = limit.multipliedBy(2).compareTo(LONGEST) < 0 ? limit.multipliedBy(2) : LONGEST;
      attempts++;
      return false;
    }
  }
}
