//! Every setting that does not belong to one provider, documented where it is defined.
//!
//! The doc comment of a field is its documentation everywhere: in `check-config`, in the configuration table
//! and in the JSON schema. Ranges stand in the schema too (`range`, `x-min`, `x-max`) and are enforced from
//! there. The `Default` implementations are the built-in defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audit::Audit;
use super::auth::Auth;
use super::cache::Cache;
use super::providers::{Providers, Upstream, redacted};
use super::span::Span;
use crate::domain::redaction::Secret;
use crate::sharing::creates;

const MIB: usize = 1024 * 1024;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The configuration of identity-gateway.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The gRPC server.
    pub server: Server,
    /// The admin port: `/livez`, `/readyz` and `/metrics` over HTTP.
    pub admin: Admin,
    /// How callers are known, and what they may do.
    pub auth: Auth,
    /// The identity providers behind the gateway.
    pub providers: Providers,
    /// How a CURP is checked before it is sent to the provider.
    pub curp: CurpRules,
    /// Person records.
    pub persons: Persons,
    /// The audit: who asked about whom, without saying who that is.
    pub audit: Audit,
    /// Answers that are kept for callers who set `max_age`, and what the replicas share.
    pub cache: Cache,
    /// The log.
    pub log: Log,
    /// Traces, beside what OpenTelemetry's own variables (`OTEL_*`) say.
    pub telemetry: Telemetry,
    /// The provider sandbox: `identity-gateway sandbox` and `serve --sandbox`.
    pub sandbox: SandboxSettings,
}

/// The gRPC server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port on which gRPC is served. `health` and `call` ask here unless told otherwise.
    #[schemars(with = "String", extend("x-form" = "an IP address and port such as 127.0.0.1:50051"))]
    pub listen: SocketAddr,
    /// After SIGTERM: how long new calls are still taken while health already says NOT_SERVING, so that
    /// callers hear of it before the door closes.
    #[schemars(extend("x-min" = "0s", "x-max" = "10m"))]
    pub lame_duck: Span,
    /// After the lame-duck time: how long calls in flight may take to finish before they are ended.
    #[schemars(extend("x-min" = "1ms", "x-max" = "1h"))]
    pub drain_timeout: Span,
    /// The deadline of a call that names none (no `grpc-timeout`).
    #[schemars(extend("x-min" = "1ms", "x-max" = "1h"))]
    pub default_deadline: Span,
    /// Most calls in flight in the whole process; one more is refused as OVERLOADED. While more than half of
    /// them are, no caller holds more than its share.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: usize,
    /// Memory of the process in bytes above which calls are refused as OVERLOADED. 0 is 80 % of the memory
    /// limit of the process's control group, or no limit if that has none.
    #[schemars(range(min = 0, max = 1_125_899_906_842_624_u64))]
    pub max_memory: u64,
    /// Largest request message that is read, in bytes.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_request_bytes: usize,
    /// Largest response message that is sent, in bytes.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_response_bytes: usize,
    /// Whether the contract can be asked for by server reflection (v1 and v1alpha); grpcurl and `call` need it.
    pub reflection: bool,
    /// Largest list of headers of a request, in bytes: names, values, and 32 for each. Metadata is in it, and a
    /// mesh's header with a whole certificate chain.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub max_header_bytes: u32,
    /// How long a request's message may take to arrive, whatever the call's deadline.
    #[schemars(extend("x-min" = "10ms", "x-max" = "1h"))]
    pub request_timeout: Span,
    /// Most connections at once; one more is closed. An idle one takes about 16 KiB, over TLS 25.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// Most connections of one address (of IPv6: one /64); one more is closed. Behind a proxy or a mesh that
    /// shows one address for many callers, set it to `max_connections`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_peer: usize,
    /// How long a connection may take until it speaks HTTP/2, TLS included.
    #[schemars(extend("x-min" = "10ms", "x-max" = "1m"))]
    pub handshake_timeout: Span,
    /// Most connections that do not speak HTTP/2 yet; one more ends the one that takes longest.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_handshakes: usize,
    /// How long a connection may be silent before it is asked whether anybody is there (HTTP/2 PING).
    #[schemars(extend("x-min" = "100ms", "x-max" = "1h"))]
    pub keepalive_interval: Span,
    /// How long the answer may take before the connection is closed.
    #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
    pub keepalive_timeout: Span,
    /// How often the files that may change while the program runs are looked at: certificates, CA bundles and
    /// the providers' credentials.
    #[schemars(extend("x-min" = "50ms", "x-max" = "1h"))]
    pub reload_interval: Span,
    /// TLS on the gRPC port. Without `cert_file` the port speaks plain HTTP/2.
    pub tls: Tls,
}

/// TLS on the gRPC port.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the server's certificate and those between it and its CA, the server's first. gRPC is then
    /// served over TLS 1.2 or 1.3 and no other way. Needs `key_file`; read again when it changes.
    #[schemars(with = "PathBuf")]
    pub cert_file: Option<PathBuf>,
    /// A PEM file with the private key of the certificate; read again when it changes.
    #[schemars(with = "PathBuf")]
    pub key_file: Option<PathBuf>,
    /// A PEM file with the CAs whose client certificates are taken; read again when it changes.
    #[schemars(with = "PathBuf")]
    pub client_ca_file: Option<PathBuf>,
    /// A PEM file with the revocation lists (CRLs) of these CAs and of those between them and the clients; read again
    /// when it changes. A client is let in if every certificate up to its CA is on no list, and a list that has not
    /// expired speaks for each.
    #[schemars(with = "PathBuf")]
    pub crl_file: Option<PathBuf>,
    /// Whether clients are asked for a certificate.
    pub client_auth: ClientAuth,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They may show one, and it must be good.
    Optional,
    /// They must show a good one.
    Required,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: loopback(50051),
            lame_duck: Span::seconds(3),
            drain_timeout: Span::seconds(30),
            default_deadline: Span::seconds(30),
            max_in_flight: 4096,
            max_memory: 0,
            max_request_bytes: 8 * MIB,
            max_response_bytes: 16 * MIB,
            reflection: true,
            max_header_bytes: 32 * 1024,
            request_timeout: Span::seconds(20),
            max_connections: 16_384,
            max_connections_per_peer: 8192,
            handshake_timeout: Span::seconds(10),
            max_handshakes: 1024,
            keepalive_interval: Span::seconds(30),
            keepalive_timeout: Span::seconds(10),
            reload_interval: Span::seconds(5),
            tls: Tls::default(),
        }
    }
}

/// The admin port.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port of the admin HTTP server. It has no authentication: keep it off public networks.
    #[schemars(with = "String", extend("x-form" = "an IP address and port such as 127.0.0.1:9090"))]
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: loopback(9090),
        }
    }
}

/// How a CURP is checked before it is sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CurpRules {
    /// What a CURP must satisfy before the provider is asked (and charges).
    pub check: CurpCheck,
}

/// What a CURP must satisfy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CurpCheck {
    /// Shape, a date that exists in its century, and the check digit.
    #[default]
    Strict,
    /// Its shape only: registries have been seen to hold odd ones.
    Shape,
}

/// Person records.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Persons {
    /// How long the answer of a create is kept, so that a repeat with the same `request_id` gets it again. At
    /// least as long as a create may take: Verifik's `queue_timeout`, `timeout` and 5 s of wait for each of its
    /// `max_attempts`, and 2 s.
    #[schemars(extend("x-min" = "1ms", "x-max" = "720h"))]
    pub request_id_ttl: Span,
    /// Most answers of creates kept at once in this process; beyond it the oldest are dropped before their time
    /// (`idgw_request_ids_dropped_total`). Creates that still run are known beside these.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub request_id_capacity: u64,
    /// The key under which callers whose policy rule says `persons = "own"` get handles for ids, and page tokens
    /// are made: 32 bytes or more, in base64 or as text, the same at all replicas. Without it, one is derived from
    /// `cache.key` or from Verifik's token, and a change of that makes every handle useless.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub handle_key: Option<Secret>,
    /// A file that holds the key, instead of `handle_key`; read at start.
    #[schemars(with = "PathBuf")]
    pub handle_key_file: Option<PathBuf>,
    /// Older keys, separated by spaces: handles that were made under them are still good. What `handle_key` was
    /// derived from before it was set is one of them.
    #[serde(serialize_with = "redacted")]
    #[schemars(with = "String", extend("x-secret" = true))]
    pub old_handle_keys: Option<Secret>,
    /// A file that holds the older keys, instead of `old_handle_keys`; read at start.
    #[schemars(with = "PathBuf")]
    pub old_handle_keys_file: Option<PathBuf>,
}

impl Persons {
    /// What is wrong with a lifetime, given how long a create may take: the key, and the problem.
    pub(super) fn problem(&self, verifik: &Upstream) -> Option<(&'static str, String)> {
        let shortest = verifik.longest_call().saturating_add(creates::GRACE);
        (self.request_id_ttl.get() < shortest).then(|| {
            let problem = format!(
                "is shorter than {}, as long as a create may take with providers.verifik.queue_timeout, \
                 providers.verifik.timeout and providers.verifik.max_attempts: a repeat would create a second \
                 person while the first is being created",
                Span::new(shortest)
            );
            ("persons.request_id_ttl", problem)
        })
    }
}

impl Default for Persons {
    fn default() -> Self {
        Self {
            request_id_ttl: Span::seconds(24 * 3600),
            request_id_capacity: 100_000,
            handle_key: None,
            handle_key_file: None,
            old_handle_keys: None,
            old_handle_keys_file: None,
        }
    }
}

/// The log.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged: a level, or directives such as `info,identity_gateway=debug`. The environment variable
    /// `RUST_LOG` is read too where `IDGW_LOG__FILTER` is not set.
    #[schemars(length(min = 1), extend("x-form" = "log directives such as info or info,identity_gateway=debug"))]
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

/// Traces, beside what OpenTelemetry's own variables (`OTEL_*`) say.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Of all calls, how many percent may be traced because the caller's `traceparent` says `sampled`, where
    /// `OTEL_TRACES_SAMPLER` follows callers (`parentbased_…`); beyond it that flag counts as not set. Set it where
    /// callers are not trusted to sample.
    #[schemars(range(min = 0, max = 100))]
    pub caller_sampled_percent: u32,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            caller_sampled_percent: 100,
        }
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `text` on a terminal, `json` otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The provider sandbox.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxSettings {
    /// Address and port of `identity-gateway sandbox`. `serve --sandbox` takes a free loopback port instead.
    #[schemars(with = "String", extend("x-form" = "an IP address and port such as 127.0.0.1:8090"))]
    pub listen: SocketAddr,
    /// How long the sandbox waits before each answer.
    #[schemars(extend("x-min" = "0s", "x-max" = "10m"))]
    pub delay: Span,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            listen: loopback(8090),
            delay: Span::new(std::time::Duration::ZERO),
        }
    }
}
