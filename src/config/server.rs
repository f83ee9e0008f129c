//! The settings of what listens: the gRPC server and the admin port.

use std::{net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::setting::{Span, loopback};

const MIB: usize = 1024 * 1024;

/// The gRPC server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port on which gRPC is served; the default target of `health` and `call`.
    #[schemars(with = "String", extend("title" = "an IP address and port such as 127.0.0.1:50051", "pattern" = crate::setting::address::pattern()))]
    pub listen: SocketAddr,
    /// After SIGTERM: how long new calls are still accepted while health is already NOT_SERVING, so that
    /// clients and load balancers notice before calls are refused.
    #[schemars(extend("x-min" = "0s", "x-max" = "10m"))]
    pub lame_duck: Span,
    /// After the lame-duck time: how long calls in flight may take to finish before they are cancelled.
    #[schemars(extend("x-min" = "1ms", "x-max" = "1h"))]
    pub drain_timeout: Span,
    /// The deadline of a call that sets none (no `grpc-timeout`).
    #[schemars(extend("x-min" = "1ms", "x-max" = "1h"))]
    pub default_deadline: Span,
    /// Most calls in flight in the process; further ones are refused as OVERLOADED. While more than half are
    /// in use, no caller may hold more than its fair share.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: usize,
    /// Resident memory of the process in bytes above which calls are refused as OVERLOADED. 0 is 80 % of the
    /// cgroup's memory limit, or no limit if it has none.
    #[schemars(range(min = 0, max = 1_125_899_906_842_624_u64))]
    pub max_memory: u64,
    /// Largest request message accepted, in bytes.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_request_bytes: usize,
    /// Largest response message sent, in bytes.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_response_bytes: usize,
    /// Whether server reflection (v1 and v1alpha) is served; grpcurl needs it, and `call` for services other than these.
    pub reflection: bool,
    /// Largest header list of a request, in bytes: names, values, and 32 for each entry. It includes
    /// metadata, and a mesh's header with a whole certificate chain.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub max_header_bytes: u32,
    /// How long a request's message may take to arrive, whatever the call's deadline.
    #[schemars(extend("x-min" = "10ms", "x-max" = "1h"))]
    pub request_timeout: Span,
    /// Most open connections; further ones are closed at once. An idle connection takes about 16 KiB, with
    /// TLS 25 KiB.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// Most open connections from one address (for IPv6: one /64); further ones are closed at once. Behind a
    /// proxy or mesh that presents one address for many callers, set it to `max_connections`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections_per_peer: usize,
    /// How long a new connection may take to reach the HTTP/2 preface, TLS handshake included.
    #[schemars(extend("x-min" = "10ms", "x-max" = "1m"))]
    pub handshake_timeout: Span,
    /// Most connections still in their handshake; a further one closes the oldest of them.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_handshakes: usize,
    /// How long a connection may be idle before the server sends an HTTP/2 keep-alive PING.
    #[schemars(extend("x-min" = "100ms", "x-max" = "1h"))]
    pub keepalive_interval: Span,
    /// How long the acknowledgement of that PING may take before the connection is closed.
    #[schemars(extend("x-min" = "100ms", "x-max" = "10m"))]
    pub keepalive_timeout: Span,
    /// How long a connection is used before its client is asked, by GOAWAY, to open another; for each up to a tenth more
    /// or less. Calls in flight finish on the old one, whose streams (health, reflection) end after a second. `0s`: for as
    /// long as the client likes; otherwise at least `1s`. Behind a load balancer that distributes connections, as a
    /// Kubernetes Service does, clients find other replicas only when they open new ones.
    #[schemars(extend("x-min" = "0s", "x-max" = "24h"))]
    pub max_connection_age: Span,
    /// How often files that are reloaded are checked for changes: certificates, CA bundles, callers' keys, the policy file and the providers'
    /// credentials.
    #[schemars(extend("x-min" = "50ms", "x-max" = "1h"))]
    pub reload_interval: Span,
    /// TLS on the gRPC port. Without `cert_file` the port speaks plain HTTP/2.
    pub tls: Tls,
}

impl Server {
    /// What the schema cannot say: the keys, and the problem.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = self.tls.problems();
        let age = self.max_connection_age;
        // Shorter-lived connections would be opened for every few calls, each with its handshake.
        if age > Span::seconds(0) && age < Span::seconds(1) {
            problems.push((
                "server.max_connection_age",
                "must be 0s, which is without limit, or at least 1s".to_owned(),
            ));
        }
        problems
    }
}

/// TLS on the gRPC port.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the server's certificate followed by its intermediate certificates. gRPC is then
    /// served over TLS 1.2 or 1.3 only. Requires `key_file`; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    pub cert_file: Option<PathBuf>,
    /// A PEM file with the certificate's private key; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    pub key_file: Option<PathBuf>,
    /// A PEM file with the CAs whose client certificates are accepted; reloaded when it changes.
    #[schemars(with = "PathBuf")]
    pub client_ca_file: Option<PathBuf>,
    /// A PEM file with the certificate revocation lists (CRLs) of these CAs and of their intermediate CAs;
    /// reloaded when it changes. A client is accepted only if every certificate of its chain is covered by a
    /// CRL that has not expired, and is on none.
    #[schemars(with = "PathBuf")]
    pub crl_file: Option<PathBuf>,
    /// Whether client certificates are requested.
    pub client_auth: ClientAuth,
}

impl Tls {
    /// What the schema cannot say: the keys, and the problem.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |key, words: &str| problems.push((key, words.to_owned()));
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => problem("server.tls.key_file", "is required: cert_file is set"),
            (None, Some(_)) => problem("server.tls.cert_file", "is required: key_file is set"),
            _ => {}
        }
        if self.client_auth != ClientAuth::Off {
            if self.client_ca_file.is_none() {
                problem(
                    "server.tls.client_ca_file",
                    "is required: client_auth requests client certificates, which are verified against it",
                );
            }
            if self.cert_file.is_none() && self.key_file.is_none() {
                problem(
                    "server.tls.client_auth",
                    "requests client certificates, which needs TLS: server.tls.cert_file is required",
                );
            }
        } else if self.client_ca_file.is_some() {
            problem(
                "server.tls.client_auth",
                "is off, and client_ca_file is set: set it to optional or required",
            );
        }
        if self.crl_file.is_some() && self.client_auth == ClientAuth::Off {
            problem(
                "server.tls.crl_file",
                "is set, and client_auth is off: no client certificates are requested",
            );
        }
        problems
    }
}

/// Whether client certificates are requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// Not requested.
    #[default]
    Off,
    /// Requested; one that is presented must be valid.
    Optional,
    /// A valid certificate is required.
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
            max_connection_age: Span::seconds(0),
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
    #[schemars(with = "String", extend("title" = "an IP address and port such as 127.0.0.1:9464", "pattern" = crate::setting::address::pattern()))]
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: loopback(9464),
        }
    }
}
