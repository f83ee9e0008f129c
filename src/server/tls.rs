//! TLS on the gRPC port: what `server.tls` says, as a configuration of rustls.
//!
//! TLS 1.2 and 1.3, ALPN `h2`. Certificate, key, client CAs and revocation lists are taken together or not at all: the
//! whole configuration is swapped, for the handshakes that begin afterwards. Where clients are asked for certificates
//! no session is resumed: a resumed one shows no certificate, and would be good for as long as its client likes. On
//! connections that are open, the certificate is tested again with every call (`client`).

mod client;
mod trust;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::NoServerSessionStorage,
};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub use self::client::ClientCertificate;
use self::trust::{Expired, Trust};
use crate::{
    config::{self, ClientAuth},
    files,
    reload::{self, Content, Watch},
    sha256::Sha256,
    telemetry::metrics,
    x509::Certificate,
};

const CERT_FILE: &str = "server.tls.cert_file";
const KEY_FILE: &str = "server.tls.key_file";
const CLIENT_CA_FILE: &str = "server.tls.client_ca_file";
const CRL_FILE: &str = "server.tls.crl_file";

/// Why the files cannot be used. Never says what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{0}: {1}")]
    File(&'static str, String),
    /// A file holds no PEM of the kind that is needed.
    #[error("{0}: contains no {1} in PEM")]
    Holds(&'static str, &'static str),
    /// A certificate is no certificate.
    #[error("{0}: contains a certificate that cannot be parsed")]
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
    /// The revocation lists cannot be used.
    #[error("server.tls.crl_file: {0}")]
    Crl(&'static str),
}

/// TLS as it is now.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ArcSwap<ServerConfig>>,
    /// None if clients are asked for no certificate.
    trust: Option<watch::Receiver<Arc<Trust>>>,
}

impl Tls {
    /// What shakes hands as the files say now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// What a client showed; none if it showed nothing.
    #[must_use]
    pub fn client(&self, shown: Option<&[CertificateDer<'_>]>) -> Option<ClientCertificate> {
        let trust = self.trust.clone();
        let chain = shown.filter(|chain| !chain.is_empty());
        chain
            .zip(trust)
            .map(|(chain, trust)| ClientCertificate::new(chain, trust))
    }
}

/// What the files hold, and when it ends.
#[derive(Debug)]
struct Loaded {
    config: ServerConfig,
    trust: Option<Trust>,
    expires: SystemTime,
}

impl Loaded {
    fn tell(&self) {
        metrics::certificate_expires(self.expires);
        if let Some(expires) = self.trust.as_ref().and_then(|trust| trust.crl_expires) {
            metrics::crl_expires(expires);
        }
    }
}

/// The bytes of the files: certificate, key, and client CA and revocation lists if there are any.
struct Pem<'a> {
    certificate: &'a [u8],
    key: &'a [u8],
    client_ca: Option<&'a [u8]>,
    crl: Option<(&'a [u8], Expired)>,
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
    let crl = settings.crl_file.as_ref().filter(|_| client_ca.is_some());
    let named = [(CERT_FILE, certificate), (KEY_FILE, key)];
    let named = named
        .into_iter()
        .chain(client_ca.map(|path| (CLIENT_CA_FILE, path)))
        .chain(crl.map(|path| (CRL_FILE, path)));
    let mut files = Vec::new();
    for (name, path) in named.clone() {
        files.push(reload::read(path).map_err(|why| TlsError::File(name, why))?);
    }
    let loaded = load(&pem(&files, None)?, auth, SystemTime::now())?;
    loaded.tell();
    let config = Arc::new(ArcSwap::from_pointee(loaded.config));
    let trust = loaded.trust.map(|trust| watch::channel(Arc::new(trust)));
    let (sender, trust) = trust.unzip();
    let swapped = Arc::clone(&config);
    let paths: Vec<PathBuf> = named.map(|(_, path)| path.clone()).collect();
    let (mut trusted, mut listed) = (fingerprint(files.get(2..)), fingerprint(files.get(3..)));
    let watch = Watch::new("server.tls", paths, move |files| {
        let taken = pem(files, Some(listed));
        let loaded = taken.and_then(|pem| load(&pem, auth, SystemTime::now()));
        let loaded = loaded.map_err(|error| error.to_string())?;
        loaded.tell();
        swapped.store(Arc::new(loaded.config));
        listed = fingerprint(files.get(3..));
        // A new certificate of the server's is no reason to test all clients anew.
        let now_trusted = fingerprint(files.get(2..));
        if let (Some(sender), Some(trust)) = (&sender, loaded.trust)
            && trusted != now_trusted
        {
            trusted = now_trusted;
            sender.send_replace(Arc::new(trust));
        }
        Ok(())
    });
    Ok(Some((Tls { config, trust }, watch)))
}

fn fingerprint(files: Option<&[Content]>) -> [u8; 32] {
    let files = files.unwrap_or_default().iter();
    let digests = files.map(|file| Sha256::digest(file.as_slice()));
    digests.fold(Sha256::new(), Sha256::chain_update).finish()
}

/// The files, in the order in which they are named. `listed` is the fingerprint of the revocation lists in force.
fn pem(files: &[Content], listed: Option<[u8; 32]>) -> Result<Pem<'_>, TlsError> {
    match files {
        [certificate, key, rest @ ..] => Ok(Pem {
            certificate,
            key,
            client_ca: rest.first().map(|file| file.as_slice()),
            crl: rest.get(1).map(|file| {
                let expired = match listed {
                    Some(known) if known == fingerprint(rest.get(1..)) => Expired::Known,
                    _ => Expired::Refused,
                };
                (file.as_slice(), expired)
            }),
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
    let trust = pem.client_ca.map(|ca| Trust::read(ca, pem.crl, auth, now));
    let trust = trust.transpose()?;
    let builder = ServerConfig::builder();
    let builder = match &trust {
        None => builder.with_no_client_auth(),
        Some(trust) => builder.with_client_cert_verifier(trust.verifier()),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    if trust.is_some() {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Loaded {
        config,
        trust,
        expires,
    })
}

/// The certificates of a PEM file, at least one.
fn certificates(file: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    files::certificates(pem).ok_or(TlsError::Holds(file, "certificate"))
}

/// When the first certificate of the chain ends.
fn expiry(chain: &[CertificateDer<'_>], now: SystemTime) -> Result<SystemTime, TlsError> {
    let mut first = None;
    for certificate in chain {
        let read = Certificate::read(certificate).ok_or(TlsError::Certificate(CERT_FILE))?;
        if read.not_before > now {
            return Err(TlsError::Time("is not valid yet"));
        }
        let ends = read.not_after;
        if ends < now {
            return Err(TlsError::Time("has expired"));
        }
        first = Some(first.map_or(ends, |first: SystemTime| first.min(ends)));
    }
    first.ok_or(TlsError::Holds(CERT_FILE, "certificate"))
}

#[cfg(test)]
pub(in crate::server) mod tests;
