import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import idgw.client.Calls;
import idgw.client.Gateway;
import idgw.client.GatewayException;
import idgw.identity.v1.CheckCurpRequest;
import idgw.identity.v1.IdentityServiceGrpc;
import idgw.identity.v1.IdentityServiceGrpc.IdentityServiceBlockingStub;
import io.grpc.Context;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Makes calls with the package and prints what it knows: `Tell ADDRESS errors|hasty|loop|inside CURP...`, a line of JSON for
 * each.
 */
public final class Tell {
  public static void main(String[] words) throws Exception {
    Gson json = new GsonBuilder().serializeNulls().create();
    var gateway = Gateway.at(words[0]).plaintext();
    if (words[1].equals("hasty")) {
      gateway.failFast().serviceConfig(Gateway.SERVICE_CONFIG_FOR_REQUEST_IDS);
    }
    var channel = gateway.channel().build();
    var clock = Executors.newSingleThreadScheduledExecutor();
    var stub = IdentityServiceGrpc.newBlockingStub(channel);
    for (String curp : List.of(words).subList(2, words.length)) {
      var asked = new AtomicInteger(1);
      var request = CheckCurpRequest.newBuilder().setCurp(curp);
      Map<String, Object> told = new HashMap<>(Map.of("code", "OK"));
      try {
        if (words[1].equals("errors") || words[1].equals("hasty")) {
          Calls.typed(() -> stub.withDeadlineAfter(10, TimeUnit.SECONDS).checkCurp(request.build()));
        } else {
          request.setRequestId(curp.equals("no id") ? "" : Calls.newRequestId());
          var context = Context.current();
          if (words[1].equals("inside")) {
            context = context.withDeadlineAfter(3, TimeUnit.SECONDS, clock);
          }
          context.call(
              () ->
                  Calls.untilAnswered(
                      stub,
                      IdentityServiceBlockingStub::checkCurp,
                      request.build(),
                      Duration.ofSeconds(10),
                      error -> asked.incrementAndGet()));
        }
      } catch (IllegalArgumentException error) {
        told = new HashMap<>(Map.of("refused", error.getMessage()));
      } catch (GatewayException error) {
        told = tell(error);
      }
      told.put("asked", asked.get());
      System.out.println(json.toJson(told));
    }
    clock.shutdownNow();
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
  }

  private static Map<String, Object> tell(GatewayException error) {
    Map<String, Object> told = new HashMap<>();
    told.put("code", error.code().toString());
    told.put("message", error.getMessage().replaceFirst("^[A-Z_ ]+: ", ""));
    told.put("reason", error.reason());
    told.put("billing", error.billing());
    told.put("metadata", error.metadata());
    told.put("violations", error.violations().stream().map(it -> List.of(it.field(), it.description())).toList());
    told.put("retry_after", error.retryAfter().map(wait -> wait.toMillis() / 1000.0).orElse(null));
    told.put("recoverable_until", error.recoverableUntil().map(Instant::getEpochSecond).orElse(null));
    return told;
  }

  private Tell() {}
}
