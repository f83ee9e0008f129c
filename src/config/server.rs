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

impl Tls {
    /// What the schema cannot say: the keys, and the problem.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |key, words: &str| problems.push((key, words.to_owned()));
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => problem(
                "server.tls.key_file",
                "is missing: cert_file is set, and one is nothing without the other",
            ),
            (None, Some(_)) => problem(
                "server.tls.cert_file",
                "is missing: key_file is set, and one is nothing without the other",
            ),
            _ => {}
        }
        if self.client_auth != ClientAuth::Off {
            if self.client_ca_file.is_none() {
                problem(
                    "server.tls.client_ca_file",
                    "is missing: client_auth asks for certificates, and none could be checked",
                );
            }
            if self.cert_file.is_none() && self.key_file.is_none() {
                problem(
                    "server.tls.client_auth",
                    "asks for client certificates, and without cert_file there is no TLS to show them in",
                );
            }
        } else if self.client_ca_file.is_some() {
            problem(
                "server.tls.client_auth",
                "is off, and client_ca_file is set: say whether certificates are optional or required",
            );
        }
        if self.crl_file.is_some() && self.client_auth == ClientAuth::Off {
            problem(
                "server.tls.crl_file",
                "is set, and client_auth is off: nobody is asked for a certificate that could be revoked",
            );
        }
        problems
    }
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
