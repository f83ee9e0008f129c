//! What `OTEL_EXPORTER_OTLP_*` says of the way to a signal's collector, and the exporters that go it.
//!
//! The exporters read endpoint, headers, timeout and compression from the environment themselves. What they leave to their
//! user stands here: the protocol, and TLS with its certificates. What is said of a signal wins over what is said of all.

use std::{
    env, fmt,
    path::Path,
    sync::{Arc, PoisonError},
    time::Duration,
};

use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _, WithTonicConfig,
};
use opentelemetry_sdk::error::OTelSdkError;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use zeroize::Zeroizing;

use super::{
    labels::Signal,
    otlp_http::{Client, LastError},
};

/// The specification's own, for each export.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a signal is not exported.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// The exporter itself cannot be made.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS or _COMPRESSION, of all or of this signal: no exporter can be made of them"
    )]
    Exporter,
    /// A variable has a value that cannot be used.
    #[error("{0}: {1}")]
    Variable(String, String),
}

/// The end of a way: where exports go, and why the last one failed.
#[derive(Debug)]
pub(super) struct End {
    /// Where to, without a path or a credential.
    pub endpoint: String,
    /// What broke an export over HTTP, which its exporter keeps to itself.
    last_error: LastError,
}

impl End {
    /// What broke an export, in the words of the libraries: they leave out what a collector says, which may repeat a
    /// credential.
    pub fn cause(&self, error: &OTelSdkError) -> String {
        let last = self.last_error.lock();
        let last = last.unwrap_or_else(PoisonError::into_inner).take();
        last.unwrap_or_else(|| error.to_string())
    }
}

/// An exporter of this kind; their builders are three types without a common trait.
macro_rules! exporter {
    ($way:expr, $kind:ident) => {{
        let builder = $kind::builder();
        let made = match $way.is_http {
            false => $way.secured(builder.with_tonic()).build(),
            true => {
                let http = builder.with_http().with_protocol(Protocol::HttpBinary);
                http.with_http_client($way.client()?).build()
            }
        };
        // Without the library's words: they repeat an endpoint, which may hold a password.
        made.map_err(|_unusable| WayError::Exporter)
    }};
}

/// The way to a signal's collector.
pub(super) struct Way {
    signal: Signal,
    is_http: bool,
    endpoint: String,
    certificate: Option<Vec<u8>>,
    /// The client's certificate and key.
    identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    last_error: LastError,
}

impl Way {
    /// What the environment says of the way.
    pub fn of(signal: Signal) -> Result<Self, WayError> {
        let (variable, protocol) = said(signal, "PROTOCOL").unwrap_or_default();
        let is_http = match &*protocol {
            "" | "grpc" => false,
            "http/protobuf" => true,
            _ => {
                let expected = "expected grpc or http/protobuf".to_owned();
                return Err(WayError::Variable(variable, expected));
            }
        };
        let file = |name| -> Result<Option<(String, Vec<u8>)>, WayError> {
            let Some((variable, path)) = said(signal, name) else {
                return Ok(None);
            };
            match std::fs::read(Path::new(&path)) {
                Ok(pem) => Ok(Some((variable, pem))),
                Err(error) => Err(WayError::Variable(variable, error.to_string())),
            }
        };
        let certificate = file("CERTIFICATE")?;
        if let Some((variable, pem)) = &certificate {
            certificates(variable, pem)?;
        }
        let identity = match (file("CLIENT_CERTIFICATE")?, file("CLIENT_KEY")?) {
            (None, None) => None,
            (Some((variable, chain)), Some((of_key, key))) => {
                certificates(&variable, &chain)?;
                private_key(&of_key, &key)?;
                Some((chain, Zeroizing::new(key)))
            }
            (Some((variable, _)), None) | (None, Some((variable, _))) => {
                let expected =
                    "a client certificate needs both _CLIENT_CERTIFICATE and _CLIENT_KEY";
                return Err(WayError::Variable(variable, expected.to_owned()));
            }
        };
        let default = match is_http {
            true => "http://localhost:4318",
            false => "http://localhost:4317",
        };
        let (variable, endpoint) = said(signal, "ENDPOINT").unwrap_or_default();
        let endpoint = match &*endpoint {
            "" => default.to_owned(),
            // Of gRPC's endpoints the specification wants no scheme.
            name if !is_http && !name.contains("://") => {
                let is_insecure = said(signal, "INSECURE")
                    .is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
                let scheme = if is_insecure { "http" } else { "https" };
                format!("{scheme}://{name}")
            }
            _ => endpoint,
        };
        let endpoint = url::Url::parse(&endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                WayError::Variable(variable, "expected an http or https URL".to_owned())
            })?;
        Ok(Self {
            signal,
            is_http,
            endpoint: endpoint.origin().ascii_serialization(),
            certificate: certificate.map(|(_, pem)| pem),
            identity,
            last_error: LastError::default(),
        })
    }

    pub fn spans(&self) -> Result<SpanExporter, WayError> {
        exporter!(self, SpanExporter)
    }

    pub fn metrics(&self) -> Result<MetricExporter, WayError> {
        exporter!(self, MetricExporter)
    }

    pub fn logs(&self) -> Result<LogExporter, WayError> {
        exporter!(self, LogExporter)
    }

    /// What there is to say of an export that failed. The rest, with the key, is not kept.
    pub fn end(self) -> End {
        End {
            endpoint: self.endpoint,
            last_error: self.last_error,
        }
    }

    /// For gRPC.
    fn secured<B: WithTonicConfig>(&self, builder: B) -> B {
        if !self.endpoint.starts_with("https:") {
            return builder;
        }
        let tls = ClientTlsConfig::new();
        let tls = match &self.certificate {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_enabled_roots(),
        };
        builder.with_tls_config(match &self.identity {
            Some((chain, key)) => tls.identity(Identity::from_pem(chain, key)),
            None => tls,
        })
    }

    fn client(&self) -> Result<Client, WayError> {
        let variable = "OTEL_EXPORTER_OTLP_CERTIFICATE";
        let mut roots = RootCertStore::empty();
        match &self.certificate {
            Some(pem) => roots.add_parsable_certificates(certificates(variable, pem)?),
            None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        };
        let tls = ClientConfig::builder().with_root_certificates(roots);
        let tls = match &self.identity {
            None => tls.with_no_client_auth(),
            Some((chain, key)) => {
                let variable = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
                let (chain, key) = (certificates(variable, chain)?, private_key(variable, key)?);
                tls.with_client_auth_cert(chain, key)
                    .map_err(|error| WayError::Variable(variable.to_owned(), error.to_string()))?
            }
        };
        let timeout = said(self.signal, "TIMEOUT").and_then(|(_, millis)| millis.parse().ok());
        let timeout = timeout.map_or(TIMEOUT, Duration::from_millis);
        Ok(Client::new(tls, timeout, Arc::clone(&self.last_error)))
    }
}

/// What is said of a signal, or else of all: the variable and its value.
pub(super) fn said(signal: Signal, name: &str) -> Option<(String, String)> {
    let of_signal = signal.as_str().to_ascii_uppercase();
    let variables = [
        format!("OTEL_EXPORTER_OTLP_{of_signal}_{name}"),
        format!("OTEL_EXPORTER_OTLP_{name}"),
    ];
    variables.into_iter().find_map(|variable| {
        let value = env::var(&variable).ok()?.trim().to_owned();
        (!value.is_empty()).then_some((variable, value))
    })
}

fn certificates(variable: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, WayError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.ok().filter(|read| !read.is_empty());
    read.ok_or_else(|| {
        let expected = "expected a file with certificates in PEM".to_owned();
        WayError::Variable(variable.to_owned(), expected)
    })
}

fn private_key(variable: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, WayError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_unread| {
        let expected = "expected a file with a private key in PEM".to_owned();
        WayError::Variable(variable.to_owned(), expected)
    })
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way({})", self.endpoint)
    }
}
