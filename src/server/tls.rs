//! TLS on the gRPC port: what `server.tls` says, as a configuration of rustls.
//!
//! TLS 1.2 and 1.3, ALPN `h2`. Certificate, key and client CA are taken together or not at all: the whole
//! configuration is swapped, for the handshakes that begin afterwards. A session that was begun under the old
//! one cannot be resumed under the new: a resumed session would not be checked against the new client CA.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::listener::Tls;
use crate::{
    config::{self, ClientAuth},
    reload::{self, Watch},
    telemetry::metrics,
};

const CERT_FILE: &str = "server.tls.cert_file";
const KEY_FILE: &str = "server.tls.key_file";
const CLIENT_CA_FILE: &str = "server.tls.client_ca_file";

/// Why the files cannot be used. Never says what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{0}: {1}")]
    File(&'static str, String),
    /// A file holds no PEM of the kind that is needed.
    #[error("{0}: holds no {1} in PEM")]
    Holds(&'static str, &'static str),
    /// A certificate is no certificate.
    #[error("{0}: holds a certificate that cannot be read")]
    Certificate(&'static str),
    /// The certificate is not valid now.
    #[error("server.tls.cert_file: the certificate {0}")]
    Time(&'static str),
    /// They do not fit.
    #[error("server.tls: certificate and key cannot be used: {0}")]
    Pair(rustls::Error),
    /// The client CA cannot be used.
    #[error("server.tls.client_ca_file: cannot be used: {0}")]
    ClientCa(String),
}

/// What the files hold, and when it ends.
struct Loaded {
    config: ServerConfig,
    expires: SystemTime,
}

/// The bytes of the files: certificate, key, and client CA if there is one.
struct Pem<'a> {
    certificate: &'a [u8],
    key: &'a [u8],
    client_ca: Option<&'a [u8]>,
}

/// TLS as configured, with what reads its files again; none if the port is to be plain.
///
/// # Errors
///
/// If a file is missing or cannot be used.
pub fn start(settings: &config::Tls) -> Result<Option<(Tls, Watch)>, TlsError> {
    let (Some(certificate), Some(key)) = (&settings.cert_file, &settings.key_file) else {
        return Ok(None);
    };
    let auth = settings.client_auth;
    let client_ca = settings.client_ca_file.as_ref();
    let client_ca = client_ca.filter(|_| auth != ClientAuth::Off);
    let named = [(CERT_FILE, certificate), (KEY_FILE, key)];
    let named = named
        .into_iter()
        .chain(client_ca.map(|path| (CLIENT_CA_FILE, path)));
    let mut files = Vec::new();
    for (name, path) in named.clone() {
        files.push(reload::read(path).map_err(|why| TlsError::File(name, why))?);
    }
    let loaded = load(&pem(&files)?, auth, SystemTime::now())?;
    metrics::certificate_expires(loaded.expires);
    let tls = Arc::new(ArcSwap::from_pointee(loaded.config));
    let swapped = Arc::clone(&tls);
    let paths: Vec<PathBuf> = named.map(|(_, path)| path.clone()).collect();
    let watch = Watch::new("server.tls", paths, move |files| {
        let taken = pem(files).and_then(|pem| load(&pem, auth, SystemTime::now()));
        let loaded = taken.map_err(|error| error.to_string())?;
        metrics::certificate_expires(loaded.expires);
        swapped.store(Arc::new(loaded.config));
        Ok(())
    });
    Ok(Some((tls, watch)))
}

fn pem(files: &[reload::Content]) -> Result<Pem<'_>, TlsError> {
    match files {
        [certificate, key, rest @ ..] => Ok(Pem {
            certificate,
            key,
            client_ca: rest.first().map(|file| file.as_slice()),
        }),
        // Cannot be: there are as many as were named.
        _ => Err(TlsError::Holds(CERT_FILE, "certificate")),
    }
}

fn load(pem: &Pem<'_>, auth: ClientAuth, now: SystemTime) -> Result<Loaded, TlsError> {
    let chain = certificates(CERT_FILE, pem.certificate)?;
    let expires = expiry(&chain, now)?;
    let key = PrivateKeyDer::from_pem_slice(pem.key)
        .map_err(|_| TlsError::Holds(KEY_FILE, "private key"))?;
    let builder = ServerConfig::builder();
    let builder = match pem.client_ca {
        None => builder.with_no_client_auth(),
        Some(client_ca) => {
            let wrong = |error: &dyn std::fmt::Display| TlsError::ClientCa(error.to_string());
            let mut roots = RootCertStore::empty();
            for certificate in certificates(CLIENT_CA_FILE, client_ca)? {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
            let verifier = match auth {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                ClientAuth::Off | ClientAuth::Required => verifier,
            };
            let verifier = verifier.build().map_err(|error| wrong(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Loaded { config, expires })
}

/// The certificates of a PEM file, at least one.
fn certificates(file: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Holds(file, "certificate")),
    }
}

/// When the first certificate of the chain ends.
fn expiry(chain: &[CertificateDer<'_>], now: SystemTime) -> Result<SystemTime, TlsError> {
    let mut first = None;
    for certificate in chain {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| TlsError::Certificate(CERT_FILE))?;
        let validity = parsed.validity();
        if at(validity.not_before.timestamp()) > now {
            return Err(TlsError::Time("is not valid yet"));
        }
        let ends = at(validity.not_after.timestamp());
        if ends < now {
            return Err(TlsError::Time("has expired"));
        }
        first = Some(first.map_or(ends, |first: SystemTime| first.min(ends)));
    }
    first.ok_or(TlsError::Holds(CERT_FILE, "certificate"))
}

fn at(seconds: i64) -> SystemTime {
    let since = Duration::from_secs(seconds.unsigned_abs());
    let at = match seconds {
        0.. => UNIX_EPOCH.checked_add(since),
        _ => UNIX_EPOCH.checked_sub(since),
    };
    at.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
