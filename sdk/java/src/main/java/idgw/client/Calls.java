package idgw.client;

import com.google.protobuf.Message;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
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
  /** Between two attempts where nobody says how long to wait: the first time, and at most. */
  private static final Duration PAUSE = Duration.ofSeconds(1);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);
  /** Who is told to wait longer than that decides for himself. */
  private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);

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
   * Makes a call, and makes it again: with twice the time when its deadline has passed, after a pause when it was refused
   * for now (as long as the gateway says, up to a minute) or when nothing is known because no gateway made the error. By its
   * {@code request_id}, which it must have, it is the same call for the gateway: what was paid for is not paid for again.
   * When the answer cannot be had any more, the call has failed otherwise, the thread is interrupted, or the {@link Context}
   * is over or would be before the next attempt, the error is thrown. {@code late} is told of each error before that.
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
        if (!again.waited()) {
          throw error;
        }
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
    /** Before the next attempt. */
    Duration wait = Duration.ZERO;

    private Duration pause = PAUSE;
    private Optional<Instant> until = Optional.empty();
    private int attempts = 1;

    Again(Duration limit) {
      this.limit = limit;
    }

    /** Whether that error is the last; if not, {@code wait} and {@code limit} are those of the next attempt. */
    boolean isOver(GatewayException error) {
      Optional<Duration> told = waitAfter(error).filter(it -> it.compareTo(LONGEST_WAIT) <= 0);
      if (told.isEmpty() || endsWithin(told.get())) {
        return true;
      }
      wait = told.get();
      Instant next = Instant.now().plus(wait);
      until = error.recoverableUntil().or(() -> until);
      // It is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
      if (until.map(moment -> !next.isBefore(moment)).orElse(attempts == ATTEMPTS)) {
        return true;
      }
      if (error.code() == Status.Code.DEADLINE_EXCEEDED) {
        limit = twice(limit, LONGEST);
      } else {
        pause = twice(pause, LONGEST_PAUSE);
      }
      attempts++;
      return false;
    }

    /** How long to wait before the call is made again; empty if it is not. */
    private Optional<Duration> waitAfter(GatewayException error) {
      Optional<Duration> said = error.retryAfter().filter(it -> !it.isZero());
      boolean late = error.code() == Status.Code.DEADLINE_EXCEEDED;
      if (late && (error.reason().isEmpty() || error.reason().equals("DEADLINE_EXCEEDED"))) {
        // The time has passed already. With PROVIDER_TIMEOUT it is the provider's, and not this call's.
        return Optional.of(Duration.ZERO);
      }
      if (error.reason().isEmpty()) {
        return said.or(() -> Optional.of(pause)); // No gateway made this error: nothing is known.
      }
      return error.code() == Status.Code.UNAVAILABLE || error.code() == Status.Code.RESOURCE_EXHAUSTED
          ? said
          : Optional.empty();
    }

    /** Whether the context, which is that of the call inside of which this one is made, does not last as long. */
    private static boolean endsWithin(Duration time) {
      var deadline = Context.current().getDeadline();
      return Context.current().isCancelled()
          || deadline != null && deadline.timeRemaining(TimeUnit.NANOSECONDS) <= time.toNanos();
    }

    private static Duration twice(Duration time, Duration most) {
      Duration twice = time.multipliedBy(2);
      return twice.compareTo(most) < 0 ? twice : most;
    }

    /** Waits; false if the thread was interrupted, or the context cancelled, before. */
    boolean waited() {
      var cancelled = new CountDownLatch(1);
      Context.CancellationListener listener = context -> cancelled.countDown();
      Context context = Context.current();
      context.addListener(listener, Runnable::run);
      try {
        return !cancelled.await(wait.toNanos(), TimeUnit.NANOSECONDS);
      } catch (InterruptedException error) {
        Thread.currentThread().interrupt();
        return false;
      } finally {
        context.removeListener(listener);
      }
    }
  }
}
