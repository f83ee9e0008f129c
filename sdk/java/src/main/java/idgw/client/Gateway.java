package idgw.client;

import com.google.gson.Gson;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executor;

/**
 * Makes a channel to the gateway. Without further words it speaks TLS, trusts whom Java trusts, and sends no token:
 * {@code Gateway.at("gateway.example:443").channel().build()}.
 */
public final class Gateway {
  /** Fits every caller: the library repeats what is never charged. */
  public static final String SERVICE_CONFIG = resource("service-config.json");
  /** For callers that set a {@code request_id} on every lookup and create: these are repeated, too. */
  public static final String SERVICE_CONFIG_FOR_REQUEST_IDS = resource("service-config.request-id.json");

  /**
   * What the gateway sends at most ({@code server.max_response_bytes}). The library takes 4 MiB unless told otherwise, which
   * is too little for images and documents.
   */
  private static final int LARGEST_REPLY = 16 << 20;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final String address;
  private boolean plaintext;
  private Path caFile;
  private Callable<String> token;
  private String serviceConfig = SERVICE_CONFIG;
  private boolean failFast;

  private Gateway(String address) {
    this.address = address;
  }

  /** The gateway at {@code host:port}. */
  public static Gateway at(String address) {
    return new Gateway(address);
  }

  /** Speaks no TLS: for a sandbox on the same machine, or where a mesh encrypts. */
  public Gateway plaintext() {
    plaintext = true;
    return this;
  }

  /** The certificates (PEM) that the gateway's is verified against. */
  public Gateway caFile(Path file) {
    caFile = file;
    return this;
  }

  /** Is asked for a bearer token before each call; see {@link #tokenFile}. It is not sent without TLS. */
  public Gateway token(Callable<String> source) {
    token = source;
    return this;
  }

  /** Reads the token anew for each call: tokens are renewed in place. */
  public static Callable<String> tokenFile(Path file) {
    return () -> Files.readString(file).strip();
  }

  /** The service config, as JSON. */
  public Gateway serviceConfig(String json) {
    serviceConfig = json;
    return this;
  }

  /** Lets calls fail at once while no gateway can be reached. Otherwise they wait until their deadlines. */
  public Gateway failFast() {
    failFast = true;
    return this;
  }

  /** A channel to build, which connects when it is first needed. It takes further settings of the library. */
  public ManagedChannelBuilder<?> channel() throws IOException {
    String json =
        failFast ? serviceConfig.replace("\"waitForReady\": true", "\"waitForReady\": false") : serviceConfig;
    @SuppressWarnings("unchecked")
    Map<String, ?> config = new Gson().fromJson(json, Map.class);
    return Grpc.newChannelBuilder(address, credentials())
        .defaultServiceConfig(config)
        .maxInboundMessageSize(LARGEST_REPLY);
  }

  private ChannelCredentials credentials() throws IOException {
    if (plaintext) {
      if (token != null) {
        throw new IllegalArgumentException("a token is not sent in the clear: it needs TLS");
      }
      if (caFile != null) {
        throw new IllegalArgumentException("caFile is for TLS, and plaintext is none");
      }
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    if (caFile != null) {
      tls.trustManager(caFile.toFile());
    }
    return token == null ? tls.build() : CompositeChannelCredentials.create(tls.build(), new Bearer(token));
  }

  /** Sends the token of a function with each call. */
  private static final class Bearer extends CallCredentials {
    private final Callable<String> token;

    Bearer(Callable<String> token) {
      this.token = token;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      executor.execute(
          () -> {
            try {
              Metadata headers = new Metadata();
              headers.put(AUTHORIZATION, "Bearer " + token.call());
              applier.apply(headers);
            } catch (Exception error) { // of whoever gives the token
              applier.fail(Status.UNAUTHENTICATED.withDescription("no token could be had").withCause(error));
            }
          });
    }
  }

  private static String resource(String name) {
    try (InputStream stream = Gateway.class.getResourceAsStream(name)) {
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
