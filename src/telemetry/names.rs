//! Every name that telemetry says: spans, attributes, metrics, log fields. Nowhere else is one written.
//!
//! Names of OpenTelemetry's semantic conventions 1.45 (RPC and error attributes stable, HTTP stable,
//! process in development) stand beside the gateway's own, which begin with `idgw.`. A golden test
//! holds the list, and docs/observability.md is generated from it: a change here is a change for the
//! operators' queries, and belongs into the changelog.
// Long: one table of every name that leaves the process, with its documentation.

/// An attribute of spans and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What it holds, and which values it can have.
    pub meaning: &'static str,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its OpenTelemetry name.
    pub name: &'static str,
    /// The UCUM unit.
    pub unit: &'static str,
    /// What kind of instrument it is.
    pub kind: Instrument,
    /// What it measures.
    pub meaning: &'static str,
    /// Its attributes: no others are ever recorded.
    pub attributes: &'static [&'static str],
}

/// The kind of an instrument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Instrument {
    /// Only grows.
    Counter,
    /// Goes up and down.
    UpDownCounter,
    /// Has the value that was set last.
    Gauge,
    /// Counts values in these buckets.
    Histogram(&'static [f64]),
}

/// A span.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Its name, or how its name is made.
    pub name: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// What it covers.
    pub meaning: &'static str,
    /// Its attributes.
    pub attributes: &'static [&'static str],
}

/// A field of a log line.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub meaning: &'static str,
}

macro_rules! attributes {
    ($($constant:ident = $name:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $constant: &str = $name;)*
        /// Every attribute.
        pub const ATTRIBUTES: &[Attribute] = &[$(Attribute { name: $name, meaning: $meaning }),*];
    };
}

attributes! {
    RPC_SYSTEM_NAME = "rpc.system.name", "Always `grpc`.";
    RPC_METHOD = "rpc.method", "The RPC, `package.Service/Method`; `_OTHER` for any that is not in the contract, but for `grpc.reflection` and `grpc.health` where their callers are refused.";
    RPC_STATUS_CODE = "rpc.status_code", "The gRPC code in words: `OK`, `UNAVAILABLE`, …";
    ERROR_TYPE = "error.type", "Why it failed: the gRPC code; for a provider's answer the HTTP status, else `connect`, `timeout`, `broken`, `malformed` or `cancelled`. Absent on success.";
    SERVER_ADDRESS = "server.address", "The provider's host, from the configuration.";
    SERVER_PORT = "server.port", "The provider's port, from the configuration.";
    HTTP_METHOD = "http.request.method", "`GET`, `POST`, `PUT`, `DELETE`.";
    HTTP_STATUS = "http.response.status_code", "The HTTP status of the provider's answer, 100 to 599.";
    HTTP_RESEND_COUNT = "http.request.resend_count", "Which retry of the call this attempt is; absent on the first attempt.";
    URL_TEMPLATE = "url.template", "The path with `{id}` in place of a person's id, without query.";
    URL_FULL = "url.full", "The provider's base URL and the path template; never an identifier, a name or a query.";
    CPU_MODE = "cpu.mode", "`user` or `system`.";
    PROVIDER = "idgw.provider", "`verifik`, `youverify` or `accuauth`.";
    OUTCOME = "idgw.outcome", "`found`, `not_found`, `invalid_identifier` or `inconclusive`.";
    SOURCE = "idgw.source", "Where the answer came from: `provider`, `coalesced`, `cache` or `recovered`.";
    BILLING = "idgw.billing", "`billed`, `not_billed` or `unknown`.";
    REASON = "idgw.reason", "The reason of the error, from the contract's table.";
    CAUSE = "idgw.cause", "Why the caller was refused: `no_credential`, `expired`, `not_yet_valid`, `audience`, `issuer`, `unknown_key`, `signature`, `algorithm`, `token_type`, `malformed`, `identity`, `weak_key`, `certificate`, `untrusted_peer`, `unsupported`, `keys_unavailable`, `no_rule` or `not_granted` (docs/access.md).";
    VERIFICATION_ID = "idgw.verification.id", "The verification's id, a UUIDv7; on spans only.";
    ATTEMPTS = "idgw.attempts", "How many requests were sent to the provider for this call; on spans only.";
    LIMIT = "idgw.limit", "Which limit refused the call: `process` (calls in flight in the process), `provider` (the provider's concurrency limit and queue), `rate` (the gateway's rate limit), `held` (backing off after the provider's 429), `circuit` (circuit breaker open) or `budget` (the caller's budget).";
    STATE = "idgw.state", "The circuit breaker's state: `closed`, `half_open` or `open`.";
    CACHE_RESULT = "idgw.cache.result", "`hit`, or `miss`: no cached answer that is fresh enough for the caller's `max_age`.";
    CACHE_FAILURE = "idgw.cache.failure", "Why Redis did not do something. Its own words: `oom`, `noauth`, `wrongpass`, `noperm`, `moved` (a cluster, and `cache.mode` does not say so), `readonly`, `loading`, `clusterdown`, `noreplicas`, `misconf`. Of the way there: `refused`, `unreachable`, `dns`, `certificate_not_trusted`, `certificate_expired`, `certificate_name`, `client_certificate_required`, `client_certificate_refused`, `tls`, `timeout`, `closed`, `connecting`. Of the settings: `not_a_cluster`, `no_master`, `wrong_kind`. Any other: `rejected`.";
    DRIFT = "idgw.drift", "What the provider's documentation does not list: `code` (a status or result code), `value` (a value of another enumerated field) or `field` (a JSON field; one answer in 16 is searched for them).";
    FATE = "idgw.answer.fate", "What became of an answer whose caller had left: `kept` (stored for it), `recovered` (given to a repeat of the call, also one with the same `request_id`) or `expired` (nobody fetched it within `sharing.recover_ttl`).";
    CURRENCY = "idgw.currency", "ISO 4217, as configured.";
    RECORDED = "idgw.audit.result", "The result of writing an audit record: `written`, `lost`, `refused` (the call was refused because it could not be recorded, `audit.required`) or `unsent` (the export of its copy to the collector failed, `audit.otlp`).";
    CALLER = "idgw.caller", "The name of the policy file's rule that the caller matches, never its identity. In metrics the first 100 names that fell to a caller since the start, any other is `_OTHER`.";
    REFUSAL = "idgw.refusal", "Why a connection was refused: `connections` (`server.max_connections`), `peer` (`server.max_connections_per_peer`), `timeout` (slow handshake), `displaced` (dropped for a newer handshake, `server.max_handshakes`), `tls`, `protocol` (not HTTP/2) or `system` (accept failed); or closed: `flood` (HTTP/2 control frames) or `memory` (its calls held too many bytes).";
    FILE_KEY = "idgw.file", "The configuration key that names the file: `server.tls`, `providers.verifik.token_file`, `auth.policy_file`, …; `auth.jwt.jwks_url`, `auth.jwt.issuers.0.discovery_url`, … for a key set.";
    RELOAD = "idgw.reload.result", "`taken` (the new version is in use) or `kept` (reload rejected, keeping the previous version).";
    SIGNAL = "idgw.signal", "`traces`, `metrics` or `logs`.";
    VERSION = "idgw.version", "The program's version.";
    REVISION = "idgw.revision", "The commit it was built from; `unknown` if not set at build time.";
}

/// The convention's buckets for RPC and HTTP, and two more: a provider may take 20 s, and a drain 30 s.
const DURATION_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 30.0,
];
/// From a second to a month.
const AGE_BUCKETS: &[f64] = &[
    1.0,
    10.0,
    60.0,
    600.0,
    3_600.0,
    21_600.0,
    86_400.0,
    604_800.0,
    2_592_000.0,
];

macro_rules! metrics {
    ($($constant:ident = $name:literal [$unit:literal] $kind:expr, $meaning:literal, $attributes:expr;)*) => {
        $(#[doc = $meaning] pub const $constant: Metric = Metric {
            name: $name, unit: $unit, kind: $kind, meaning: $meaning, attributes: &$attributes,
        };)*
        /// Every metric.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

use Instrument::{Counter, Gauge, Histogram, UpDownCounter};

metrics! {
    RPC_DURATION = "rpc.server.call.duration" ["s"] Histogram(DURATION_BUCKETS),
        "Duration of a call in the gateway, from request headers to response.",
        [RPC_SYSTEM_NAME, RPC_METHOD, RPC_STATUS_CODE, ERROR_TYPE];
    HTTP_DURATION = "http.client.request.duration" ["s"] Histogram(DURATION_BUCKETS),
        "Duration of one HTTP request to a provider, to the last byte of its response.",
        [HTTP_METHOD, SERVER_ADDRESS, SERVER_PORT, URL_TEMPLATE, HTTP_STATUS, ERROR_TYPE, PROVIDER];
    CALLS = "idgw.calls.in_flight" ["{call}"] UpDownCounter,
        "Calls in flight in the process, not counting health checks and reflection.", [];
    FAILURES = "idgw.failures" ["{call}"] Counter,
        "Calls that failed, by the reason of the contract's table.", [RPC_METHOD, REASON, PROVIDER];
    CALLERS_REFUSED = "idgw.callers.refused" ["{call}"] Counter,
        "Calls whose caller was refused, by the exact cause; those of reflection and of health checks too.", [RPC_METHOD, CAUSE];
    VERIFICATIONS = "idgw.verifications" ["{verification}"] Counter,
        "Verifications answered.", [PROVIDER, OUTCOME, SOURCE];
    RESULTS = "idgw.results" ["{request}"] Counter,
        "Requests sent to a provider, by what is known of their billing.", [PROVIDER, BILLING];
    COST = "idgw.cost" ["{currency}"] Counter,
        "The configured price (`providers.<p>.price`) of the requests that were billed (`billed`) or may have been (`unknown`). Absent without a price.",
        [PROVIDER, BILLING, CURRENCY];
    RULE_REFUSED = "idgw.rule.refused" ["{call}"] Counter,
        "Calls refused for what the policy file says of their rule: `METHOD_NOT_ALLOWED`, `FIELD_NOT_ALLOWED`, `BUDGET_EXHAUSTED`. Callers that match no rule are in `idgw.failures` only.",
        [CALLER, REASON];
    RULE_VERIFICATIONS = "idgw.rule.verifications" ["{verification}"] Counter,
        "Verifications answered, by the rule that their callers match. Absent without a policy file.", [CALLER, PROVIDER, SOURCE];
    RULE_COST = "idgw.rule.cost" ["{currency}"] Counter,
        "What the calls of a rule added to the bill: the price (`providers.<p>.price`) of the results that were billed for them, as in the log's `cost`. Absent without a price or a policy file.",
        [CALLER, PROVIDER, CURRENCY];
    RETRIES = "idgw.retries" ["{request}"] Counter,
        "Retries of provider requests, by the reason of the previous attempt.", [PROVIDER, REASON];
    RETRY_BUDGET = "idgw.retry.budget" ["{request}"] Gauge,
        "Retries that the provider's retry budget still allows.", [PROVIDER];
    BREAKER = "idgw.breaker.state" ["{state}"] Gauge,
        "State of the provider's circuit breaker: 1 for the current state, 0 for the others.", [PROVIDER, STATE];
    BREAKER_TRANSITIONS = "idgw.breaker.transitions" ["{transition}"] Counter,
        "State changes of the provider's circuit breaker, by the new state.", [PROVIDER, STATE];
    IN_FLIGHT = "idgw.upstream.in_flight" ["{request}"] UpDownCounter,
        "Requests in flight to the provider.", [PROVIDER];
    QUEUED = "idgw.upstream.queued" ["{request}"] UpDownCounter,
        "Requests queued at the provider's concurrency limit.", [PROVIDER];
    UNATTENDED = "idgw.lookups.unattended" ["{request}"] UpDownCounter,
        "Requests in flight to the provider whose callers have all left: they may have been charged, so they are finished and their answers stored.", [PROVIDER];
    LEFT = "idgw.answers.left" ["{answer}"] Counter,
        "Answers stored for callers that had left before, or that wait at another replica: once for each call, by what became of them.", [PROVIDER, FATE];
    LEFT_COST = "idgw.answers.left.cost" ["{currency}"] Counter,
        "The configured price of those that were billed or may have been: `expired` is money lost, `recovered` money not spent twice. Absent without a price.",
        [PROVIDER, FATE, CURRENCY];
    REFUSED = "idgw.refused" ["{call}"] Counter,
        "Calls refused to protect the gateway or a provider, by limit.", [PROVIDER, LIMIT];
    CACHE = "idgw.cache.lookups" ["{lookup}"] Counter,
        "Cache lookups, for callers that accept a cached answer: hits and misses.", [PROVIDER, CACHE_RESULT];
    CACHE_AGE = "idgw.cache.age" ["s"] Histogram(AGE_BUCKETS),
        "Age of the cached answers that were returned (cache hits).", [PROVIDER];
    CACHE_CONNECTED = "idgw.cache.connected" ["{connection}"] Gauge,
        "1 while Redis is connected, 0 while it is not; absent without `cache.url`.", [];
    CACHE_FAILURES = "idgw.cache.failures" ["{operation}"] Counter,
        "Operations of Redis, and attempts to connect, that failed.", [CACHE_FAILURE];
    CACHE_PRIMARY_CHANGES = "idgw.cache.primary_changes" ["{change}"] Counter,
        "Reconnections to another Redis server than before, or to the same one restarted: what the old one had not passed on or persisted is lost, request ids among it. Not for a cluster, whose failovers its clients do not see.", [];
    DRIFTS = "idgw.drifts" ["{answer}"] Counter,
        "Provider answers with content that the provider's documentation does not list.", [PROVIDER, DRIFT];
    REQUEST_IDS_DROPPED = "idgw.request_ids.dropped" ["{request_id}"] Counter,
        "Outcomes of request ids dropped before their time because there were too many (`persons.request_id_capacity`, `lookups.request_id_capacity`) or they held too many bytes (`lookups.request_id_max_bytes`). A retry of a dropped create would create a second person; a retry of a lookup whose answer was dropped for its bytes gets an unknown outcome and costs nothing.", [];
    REQUEST_IDS_LOST = "idgw.request_ids.lost" ["{request_id}"] Counter,
        "Entries of running request ids that Redis no longer had when their outcome was written: evicted, deleted, or lost in a failover or restart. In that time a repeat at another replica was sent, and charged, again.", [];
    TOKEN_EXPIRES = "idgw.token.expires" ["s"] Gauge,
        "Seconds until the provider's token expires, negative afterwards; only for a token that says so (Verifik's JWT).",
        [PROVIDER];
    AUDIT = "idgw.audit.records" ["{record}"] Counter,
        "Audit records, by result; `unsent` ones are still in the sink.", [RECORDED];
    CONNECTIONS = "idgw.connections" ["{connection}"] UpDownCounter,
        "Open connections on the gRPC port.", [];
    CONNECTIONS_REFUSED = "idgw.connections.refused" ["{connection}"] Counter,
        "Connections refused or closed by the gateway, by reason.", [REFUSAL];
    CERTIFICATE_EXPIRES = "idgw.tls.certificate.expires" ["s"] Gauge,
        "Seconds until the server's certificate chain expires: the earliest of its certificates.", [];
    CRL_EXPIRES = "idgw.tls.crl.expires" ["s"] Gauge,
        "Seconds until the earliest certificate revocation list (CRL) expires; client certificates of its CA are rejected afterwards.", [];
    RELOADS = "idgw.reloads" ["{reload}"] Counter,
        "Reloads of changed files and key sets, by result.", [FILE_KEY, RELOAD];
    EXPORT_FAILURES = "idgw.telemetry.export_failures" ["{export}"] Counter,
        "Failed exports to the OpenTelemetry collector.", [SIGNAL];
    PANICS = "idgw.panics" ["{panic}"] Counter,
        "Panics caught: each call was answered INTERNAL, or UNKNOWN where a request may have been sent.", [];
    BUILD = "idgw.build.info" ["{build}"] Gauge, "Always 1.", [VERSION, REVISION];
    PROCESS_CPU = "process.cpu.time" ["s"] Counter, "CPU time of the process.", [CPU_MODE];
    PROCESS_MEMORY = "process.memory.usage" ["By"] Gauge, "Resident memory of the process.", [];
    PROCESS_FDS = "process.unix.file_descriptor.count" ["{file_descriptor}"] Gauge,
        "Open file descriptors.", [];
    PROCESS_START = "process.start_time" ["s"] Gauge, "Start time of the process, in Unix time.", [];
    TOKIO_WORKERS = "tokio.workers" ["{worker}"] Gauge, "Worker threads of the runtime.", [];
    TOKIO_TASKS = "tokio.tasks.alive" ["{task}"] Gauge, "Tasks alive in the runtime.", [];
    TOKIO_QUEUE = "tokio.global_queue.depth" ["{task}"] Gauge,
        "Tasks in the runtime's global queue.", [];
    TOKIO_BUSY = "tokio.workers.busy" ["s"] Counter, "Busy time of the worker threads, summed.", [];
}

/// The instrumentation scope.
pub const SCOPE: &str = "identity-gateway";
/// Value of [`RPC_METHOD`] for what is not of the contract.
pub const OTHER: &str = "_OTHER";
/// Value of [`RPC_SYSTEM_NAME`].
pub const GRPC: &str = "grpc";

/// The event name of a copy of an audit record.
pub const AUDIT_EVENT: &str = "idgw.audit";

/// Queued at the provider's concurrency limit.
pub const WAIT_QUEUE: &str = "idgw.wait.queue";
/// Waiting for the answer that an identical call in flight has asked for.
pub const WAIT_COALESCED: &str = "idgw.wait.coalesced";
/// Cache lookup.
pub const WAIT_CACHE: &str = "idgw.wait.cache";
/// Backoff before a retry.
pub const WAIT_BACKOFF: &str = "idgw.wait.backoff";

/// Every span.
pub const SPANS: &[Span] = &[
    Span {
        name: "{rpc.method}",
        kind: "server",
        meaning: "One call. Its status is error only for UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS.",
        attributes: &[
            RPC_SYSTEM_NAME,
            RPC_METHOD,
            RPC_STATUS_CODE,
            ERROR_TYPE,
            VERIFICATION_ID,
            PROVIDER,
            OUTCOME,
            BILLING,
            SOURCE,
            ATTEMPTS,
            REASON,
            CAUSE,
            CALLER,
        ],
    },
    Span {
        name: "{http.request.method} {url.template}",
        kind: "client",
        meaning: "One HTTP request to a provider.",
        attributes: &[
            HTTP_METHOD,
            URL_TEMPLATE,
            URL_FULL,
            SERVER_ADDRESS,
            SERVER_PORT,
            HTTP_STATUS,
            HTTP_RESEND_COUNT,
            ERROR_TYPE,
            PROVIDER,
        ],
    },
    Span {
        name: WAIT_QUEUE,
        kind: "internal",
        meaning: "Queued at the provider's concurrency limit.",
        attributes: &[PROVIDER],
    },
    Span {
        name: WAIT_BACKOFF,
        kind: "internal",
        meaning: "Backoff before a retry.",
        attributes: &[PROVIDER],
    },
    Span {
        name: WAIT_CACHE,
        kind: "internal",
        meaning: "Cache lookup.",
        attributes: &[PROVIDER],
    },
    Span {
        name: WAIT_COALESCED,
        kind: "internal",
        meaning: "Coalesced: waiting for the answer to an identical call in flight; linked to that call's span.",
        attributes: &[PROVIDER],
    },
];

/// Set-ups that are open or broken, of which `serve` and `check-config` warn.
pub mod setup {
    /// Callers are not identified on an address that others reach.
    pub const OPEN_TO_ALL: &str = "open_to_all";
    /// Tokens or keys on such an address without TLS.
    pub const BEARER_IN_PLAINTEXT: &str = "bearer_in_plaintext";
    /// A network of sidecars that holds everybody.
    pub const MESH_TRUSTS_EVERYBODY: &str = "mesh_trusts_everybody";
    /// The admin port on such an address.
    pub const ADMIN_OPEN: &str = "admin_open";
    /// No provider can be asked.
    pub const NO_CREDENTIAL: &str = "no_credential";
    /// A provider's token has expired.
    pub const TOKEN_EXPIRED: &str = "token_expired";
    /// It does within a day.
    pub const TOKEN_EXPIRES: &str = "token_expires";

    /// All of them, with what they say.
    pub const ALL: [(&str, &str); 7] = [
        (
            OPEN_TO_ALL,
            "`auth.mode` is `none`, and `server.listen` is not a loopback address",
        ),
        (
            BEARER_IN_PLAINTEXT,
            "`auth.mode` has `jwt` or `keys`, and such an address has no TLS",
        ),
        (
            MESH_TRUSTS_EVERYBODY,
            "`auth.mesh.peers` has a network as wide as `0.0.0.0/0`",
        ),
        (ADMIN_OPEN, "`admin.listen` is not a loopback address"),
        (NO_CREDENTIAL, "no provider has a credential"),
        (TOKEN_EXPIRED, "a provider's token has expired"),
        (TOKEN_EXPIRES, "a provider's token expires within a day"),
    ];
}

/// Every field of a log line.
pub const FIELDS: &[Field] = &[
    Field {
        name: "timestamp",
        meaning: "When, RFC 3339 in UTC.",
    },
    Field {
        name: "level",
        meaning: "`ERROR`: a defect, or money may be lost. `WARN`: a provider or the load needs attention. `INFO`: everything else, callers' own mistakes included.",
    },
    Field {
        name: "message",
        meaning: "What happened; `call` for the line that ends each call; `late result` for what a request brought whose call had ended before.",
    },
    Field {
        name: "trace_id",
        meaning: "The trace, 32 hex digits; within a call only.",
    },
    Field {
        name: "span_id",
        meaning: "The span, 16 hex digits; within a call only.",
    },
    Field {
        name: "rpc",
        meaning: "`call`: the RPC; `_OTHER` for any that is not in the contract; `grpc.reflection` and `grpc.health` where their callers are refused.",
    },
    Field {
        name: "caller",
        meaning: "`call`: the name of the policy file's rule that the caller matches.",
    },
    Field {
        name: "code",
        meaning: "`call`: the gRPC code; `CANCELLED` if the caller gave up.",
    },
    Field {
        name: "reason",
        meaning: "`call`: the reason of the error, from the contract's table.",
    },
    Field {
        name: "identity",
        meaning: "`call` of a caller that was refused: who it is, if its credential says so and its signature is valid. Never of a caller that was not refused.",
    },
    Field {
        name: "duration_ms",
        meaning: "`call`: how long it took, in milliseconds.",
    },
    Field {
        name: "verification_id",
        meaning: "`call`: the verification's id, a UUIDv7.",
    },
    Field {
        name: "provider",
        meaning: "The provider: `verifik`, `youverify` or `accuauth`.",
    },
    Field {
        name: "outcome",
        meaning: "`call`: `found`, `not_found`, `invalid_identifier` or `inconclusive`.",
    },
    Field {
        name: "billing",
        meaning: "`call`, `late result`: `billed`, `not_billed` or `unknown`: what the provider's documentation says of the result, whichever call fetched it.",
    },
    Field {
        name: "cost",
        meaning: "`call`, `late result`: what this call added to the bill, in `currency`: the configured price on the line of the call that the provider was asked for, 0 where nothing was charged or nothing was sent for this call (coalesced, cached, recovered). Absent if it is not known whether it was charged, if it is not known yet (a `late result` follows), or without a price. The sum is what was surely billed.",
    },
    Field {
        name: "currency",
        meaning: "`call`, `late result`: ISO 4217, of a `cost` that is not 0.",
    },
    Field {
        name: "source",
        meaning: "`call`: `provider`, `coalesced`, `cache` or `recovered`.",
    },
    Field {
        name: "attempts",
        meaning: "`call`: how many requests were sent to the provider.",
    },
    Field {
        name: "suppressed",
        meaning: "`call` of a caller that was refused: how many such lines were suppressed since the last one. At most ten a second are written of unidentified callers, and ten of those that may not call.",
    },
    Field {
        name: "peer",
        meaning: "`log filter changed …`: the address that changed it.",
    },
    Field {
        name: "filter",
        meaning: "`log filter …`: the directives now in force.",
    },
    Field {
        name: "lasts_s",
        meaning: "`log filter changed …`: how long they last, in seconds.",
    },
    Field {
        name: "location",
        meaning: "`panic`: the file and line of the defect; never its message, which may hold personal data.",
    },
    Field {
        name: "error",
        meaning: "What failed, as the system or library reports it; never text from a provider.",
    },
    Field {
        name: "signal",
        meaning: "The kind of telemetry that is not exported: `traces`, `metrics` or `logs`.",
    },
    Field {
        name: "endpoint",
        meaning: "The collector that telemetry is not exported to, without a path.",
    },
    Field {
        name: "variable",
        meaning: "The environment variable (`OTEL_*`) that is ignored.",
    },
    Field {
        name: "problem",
        meaning: "Why it is ignored; what is open or broken in a set-up.",
    },
    Field {
        name: "propagators",
        meaning: "`OTEL_PROPAGATORS`: the unsupported names.",
    },
    Field {
        name: "grpc",
        meaning: "`serving`: the gRPC address.",
    },
    Field {
        name: "admin",
        meaning: "`serving`: the admin address.",
    },
    Field {
        name: "verifik",
        meaning: "`serving`: `live`, `sandbox` or `disabled (no credential)`.",
    },
    Field {
        name: "youverify",
        meaning: "The same.",
    },
    Field {
        name: "accuauth",
        meaning: "The same.",
    },
    Field {
        name: "look_in",
        meaning: "`serving`: a command that shows that it answers; `TOKEN`, `caller.crt` and `caller.key` stand for a caller's own credential.",
    },
    Field {
        name: "sandbox",
        meaning: "`serving`, with `--sandbox`: the address of the provider sandbox.",
    },
    Field {
        name: "warning",
        meaning: "`set-up`: what is open or broken, and `key` the configuration key: `open_to_all`, `bearer_in_plaintext`, `mesh_trusts_everybody`, `admin_open`, `no_credential`, `token_expired` or `token_expires`.",
    },
    Field {
        name: "lame_duck",
        meaning: "`lame duck`: how long new calls are still accepted.",
    },
    Field {
        name: "drain_timeout",
        meaning: "`draining`: how long calls in flight may take.",
    },
    Field {
        name: "resident",
        meaning: "`memory pressure changed`: resident memory of the process, in bytes.",
    },
    Field {
        name: "limit",
        meaning: "`memory pressure changed`: the limit in bytes; above it calls are refused.",
    },
    Field {
        name: "short",
        meaning: "`memory pressure changed`: whether calls are now refused.",
    },
    Field {
        name: "head",
        meaning: "`audit started`: the hash of the record that the new ones follow.",
    },
    Field {
        name: "written",
        meaning: "`audit stopped`: how many records were written.",
    },
    Field {
        name: "lost",
        meaning: "How many records were lost so far.",
    },
    Field {
        name: "refused",
        meaning: "`audit stopped`: how many calls were refused because they could not be recorded.",
    },
    Field {
        name: "why",
        meaning: "Why an audit record was lost, a connection refused or a reload rejected; never the content.",
    },
    Field {
        name: "key",
        meaning: "`reloaded …`, `reload rejected …`: the configuration key that names the files.",
    },
    Field {
        name: "address",
        meaning: "`connection refused` (level DEBUG): the peer's address.",
    },
    Field {
        name: "cause",
        meaning: "`call` of a caller that was refused: one of the values of `idgw.cause`. `connection refused`: one of the values of `idgw.refusal`. A failed export: what broke it, as the library reports it. `shared cache …`: one of the values of `idgw.cache.failure`.",
    },
    Field {
        name: "advice",
        meaning: "`shared cache …`: what can be done about it.",
    },
    Field {
        name: "workers",
        meaning: "`limits`: worker threads of the runtime.",
    },
    Field {
        name: "max_memory",
        meaning: "`limits`: resident memory in bytes above which calls are refused.",
    },
    Field {
        name: "open_ms",
        meaning: "`circuit open`: how long calls are refused before a trial call, in milliseconds.",
    },
    Field {
        name: "call",
        meaning: "The call's id in the audit log; `call`: of calls that are no verification.",
    },
];
